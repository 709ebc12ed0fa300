// Ternary weights and one bit of every input a clock: Stripes' lane without its multiplier.
// Stage 1 adds the weights whose input has the bit, 2 weighs by the plane, 3 accumulates.
module serial_unit #(
    parameter LANES = 16, parameter SUM_BITS = 32
) (
    input  wire clk,
    input  wire [LANES-1:0] bits, input wire [LANES*2-1:0] w,
    input  wire [4:0] shift, input wire negative,  // of the step in stage 2
    input  wire add, input wire first,             // of the step in stage 3
    output reg signed [SUM_BITS-1:0] sum
);
    localparam TREE_BITS = 2 + $clog2(LANES + 1);
    reg signed [TREE_BITS-1:0] tree, lanes;
    reg signed [SUM_BITS-1:0] weighed;
    wire signed [SUM_BITS-1:0] shifted = lanes <<< shift;
    integer l;
    always @* begin
        tree = 0;
        for (l = 0; l < LANES; l = l + 1)
            if (bits[l] & w[2*l]) tree = w[2*l+1] ? tree - 1 : tree + 1;
    end
    initial begin lanes = 0; weighed = 0; sum = 0; end
    always @(posedge clk) begin
        lanes <= tree;
        weighed <= negative ? -shifted : shifted;
        if (add) sum <= (first ? 0 : sum) + weighed;
    end
endmodule
