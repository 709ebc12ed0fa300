// Lanes that take X_BITS bits of an input and W_BITS of a weight a clock, the top bits first, and
// shift the sum: Stripes (X_BITS = 1), its ternary form (TERNARY, W_BITS = 2), Loom (W_BITS = 1).
// `negative` says that the bits of this clock are those of a sign. Operands come from the edge of
// the array; what the lanes add up to is held before it is accumulated.
module pe_serial #(
    parameter LANES = 16, parameter X_BITS = 1, parameter W_BITS = 2, parameter W_SIGNED = 1,
    parameter SUM_BITS = 32
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [LANES*X_BITS-1:0] x, input wire [LANES*W_BITS-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    localparam TREE_BITS = X_BITS + W_BITS + 1 + $clog2(LANES);
    reg signed [TREE_BITS-1:0] tree, lanes;
    reg signed [W_BITS:0] weight;
    reg signed [X_BITS:0] bits;
    integer l;
    always @* begin
        tree = 0;
        for (l = 0; l < LANES; l = l + 1) begin
            weight = {W_SIGNED ? w[l*W_BITS+W_BITS-1] : 1'b0, w[l*W_BITS+:W_BITS]};
            bits = {1'b0, x[l*X_BITS+:X_BITS]};
            if (X_BITS == 1) begin
                weight = weight & {(W_BITS + 1){bits[0]}};
                tree = tree + weight;
            end else if (W_BITS == 1) begin
                bits = bits & {(X_BITS + 1){weight[0]}};
                tree = tree + bits;
            end else tree = tree + weight * bits;
        end
    end
    always @(posedge clk) lanes <= tree;
    pe_accumulator #(.TERM_BITS(TREE_BITS), .SUM_BITS(SUM_BITS), .SHIFTS(1), .NEGATES(1))
    accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(lanes), .sum(sum)
    );
endmodule
