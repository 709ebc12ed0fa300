// Dot product of ternary weights and short inputs: lanes, adder tree, one accumulator.
// Stage 1 adds the lanes, stage 2 accumulates; the result is taken from `sum` in stage 3.
module dot_unit #(
    parameter LANES = 16, parameter X_BITS = 2, parameter X_SIGNED = 0, parameter SUM_BITS = 16
) (
    input  wire clk,
    input  wire [LANES*X_BITS-1:0] x, input wire [LANES*2-1:0] w,
    input  wire add, input wire first,  // of the step in stage 2
    output reg signed [SUM_BITS-1:0] sum
);
    localparam TREE_BITS = X_BITS + 1 + $clog2(LANES + 1);
    reg signed [TREE_BITS-1:0] tree, lanes;
    reg signed [X_BITS:0] one;
    integer l;
    always @* begin
        tree = 0;
        for (l = 0; l < LANES; l = l + 1) begin
            one = {X_SIGNED ? x[l*X_BITS+X_BITS-1] : 1'b0, x[l*X_BITS+:X_BITS]};
            if (w[2*l]) tree = w[2*l+1] ? tree - one : tree + one;
        end
    end
    initial begin lanes = 0; sum = 0; end
    always @(posedge clk) begin
        lanes <= tree;
        if (add) sum <= (first ? 0 : sum) + lanes;
    end
endmodule
