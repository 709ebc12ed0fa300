// AND of a slice of bits of X with one of W, number of ones, shift and negate, accumulate.
module popcount_unit #(
    parameter LANES = 64, parameter SUM_BITS = 32
) (
    input  wire clk,
    input  wire [LANES-1:0] x, input wire [LANES-1:0] w,
    input  wire [4:0] shift, input wire negative,  // of the step in stage 2
    input  wire add, input wire first,             // of the step in stage 3
    output reg signed [SUM_BITS-1:0] sum
);
    localparam COUNT_BITS = $clog2(LANES + 1);
    reg [COUNT_BITS-1:0] ones, count;
    reg signed [SUM_BITS-1:0] weighed;
    wire signed [SUM_BITS-1:0] wide = count;
    wire signed [SUM_BITS-1:0] shifted = wide <<< shift;
    integer l;
    always @* begin
        ones = 0;
        for (l = 0; l < LANES; l = l + 1) ones = ones + (x[l] & w[l]);
    end
    initial begin count = 0; weighed = 0; sum = 0; end
    always @(posedge clk) begin
        count <= ones;
        weighed <= negative ? -shifted : shifted;
        if (add) sum <= (first ? 0 : sum) + weighed;
    end
endmodule
