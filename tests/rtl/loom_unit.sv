// Some bits of every input and one bit of every weight a clock: Loom's lane, in two's complement.
// Stage 1 adds the fields whose weight has the bit, 2 weighs by the planes, 3 accumulates.
module loom_unit #(
    parameter LANES = 16, parameter FIELD_BITS = 2, parameter SUM_BITS = 32
) (
    input  wire clk,
    input  wire [LANES*FIELD_BITS-1:0] fields, input wire [LANES-1:0] w,
    input  wire [4:0] shift, input wire negative,  // of the step in stage 2
    input  wire add, input wire first,             // of the step in stage 3
    output reg signed [SUM_BITS-1:0] sum
);
    localparam TREE_BITS = FIELD_BITS + $clog2(LANES + 1);
    reg signed [TREE_BITS-1:0] tree, lanes;
    reg signed [FIELD_BITS-1:0] one;
    reg signed [SUM_BITS-1:0] weighed;
    wire signed [SUM_BITS-1:0] wide = lanes;
    wire signed [SUM_BITS-1:0] shifted = wide <<< shift;
    integer l;
    always @* begin
        tree = 0;
        for (l = 0; l < LANES; l = l + 1) begin
            one = fields[l*FIELD_BITS+:FIELD_BITS];
            if (w[l]) tree = tree + one;
        end
    end
    initial begin lanes = 0; weighed = 0; sum = 0; end
    always @(posedge clk) begin
        lanes <= tree;
        weighed <= negative ? -shifted : shifted;
        if (add) sum <= (first ? 0 : sum) + weighed;
    end
endmodule
