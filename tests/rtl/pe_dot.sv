// Lanes of multipliers, or of ternary weights that add, subtract or skip, with one accumulator.
// Operands come from the edge of the array, to all units of a row or a column in the same clock; what
// the lanes add up to is held before it is accumulated.
module pe_dot #(
    parameter LANES = 16, parameter X_BITS = 2, parameter X_SIGNED = 0, parameter W_BITS = 2,
    parameter TERNARY = 1, parameter SUM_BITS = 16
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [LANES*X_BITS-1:0] x, input wire [LANES*W_BITS-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    localparam PRODUCT_BITS = TERNARY ? X_BITS + 1 : X_BITS + W_BITS;
    localparam TREE_BITS = PRODUCT_BITS + $clog2(LANES);
    wire signed [TREE_BITS-1:0] products [0:LANES-1];
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            wire [X_BITS-1:0] mine = x[l*X_BITS+:X_BITS];
            wire [W_BITS-1:0] weight = w[l*W_BITS+:W_BITS];
            if (TERNARY) begin : ternary  // -x is ~x + 1
                wire [X_BITS:0] one = {X_SIGNED ? mine[X_BITS-1] : 1'b0, mine};
                wire signed [X_BITS:0] chosen =
                    (one & {(X_BITS + 1){weight[0]}}) ^ {(X_BITS + 1){weight[1]}};
                assign products[l] = chosen + $signed({1'b0, weight[1]});
            end else begin : multiplied
                wire signed [TREE_BITS-1:0] product;
                pe_product #(.X_BITS(X_BITS), .W_BITS(W_BITS), .BITS(TREE_BITS)) multiplier (
                    .x(mine), .w(weight), .product(product));
                assign products[l] = product;
            end
        end
    endgenerate
    reg signed [TREE_BITS-1:0] tree, lanes;
    integer i;
    always @* begin
        tree = 0;
        for (i = 0; i < LANES; i = i + 1) tree = tree + products[i];
    end
    always @(posedge clk) lanes <= tree;
    pe_accumulator #(.TERM_BITS(TREE_BITS), .SUM_BITS(SUM_BITS)) accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(lanes), .sum(sum)
    );
endmodule
