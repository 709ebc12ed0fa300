// Lanes of multipliers, or of ternary weights that add, subtract or skip, with one accumulator.
module pe_dot #(
    parameter LANES = 16, parameter X_BITS = 2, parameter X_SIGNED = 0, parameter W_BITS = 2,
    parameter TERNARY = 1, parameter SUM_BITS = 16
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [LANES*X_BITS-1:0] x, input wire [LANES*W_BITS-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    localparam PRODUCT_BITS = TERNARY ? X_BITS + 1 : X_BITS + W_BITS + 1;
    localparam TREE_BITS = PRODUCT_BITS + $clog2(LANES);
    reg [LANES*X_BITS-1:0] x_held;
    reg [LANES*W_BITS-1:0] w_held;
    always @(posedge clk) begin x_held <= x; w_held <= w; end
    reg signed [TREE_BITS-1:0] tree;
    reg signed [X_BITS:0] one;
    reg signed [W_BITS-1:0] weight;
    integer l;
    always @* begin
        tree = 0;
        for (l = 0; l < LANES; l = l + 1) begin
            one = {X_SIGNED ? x_held[l*X_BITS+X_BITS-1] : 1'b0, x_held[l*X_BITS+:X_BITS]};
            weight = w_held[l*W_BITS+:W_BITS];
            if (TERNARY) begin  // -x is ~x + 1
                one = (one & {(X_BITS + 1){weight[0]}}) ^ {(X_BITS + 1){weight[1]}};
                tree = tree + one + $signed({1'b0, weight[1]});
            end else tree = tree + one * weight;
        end
    end
    pe_accumulator #(.TERM_BITS(TREE_BITS), .SUM_BITS(SUM_BITS)) accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(tree), .sum(sum)
    );
endmodule
