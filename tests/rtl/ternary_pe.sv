// PE of a weight-stationary array with weights -1, 0, 1 in two bits: adds, subtracts or skips.
module ternary_pe #(
    parameter X_BITS = 8, parameter W_BITS = 2, parameter SUM_BITS = 24
) (
    input  wire clk, input wire load,
    input  wire signed [X_BITS-1:0] x_in, output reg signed [X_BITS-1:0] x_out,
    input  wire signed [W_BITS-1:0] w_in, output reg signed [W_BITS-1:0] w_out,
    input  wire signed [SUM_BITS-1:0] sum_in, output reg signed [SUM_BITS-1:0] sum_out,
    output wire signed [SUM_BITS-1:0] sum_next
);
    /* verilator no_inline_module */
    // Bit 0 says not zero, bit 1 says negative; ~x + 1 is -x, its 1 is the carry of the adder.
    wire minus = w_out[0] & w_out[1];
    wire signed [SUM_BITS-1:0] wide = x_in;
    wire signed [SUM_BITS-1:0] term = w_out[0] ? (minus ? ~wide : wide) : 0;
    assign sum_next = sum_in + term + $signed({1'b0, minus});
    initial begin x_out = 0; w_out = 0; sum_out = 0; end
    always @(posedge clk) begin
        x_out <= x_in;
        sum_out <= sum_next;
        if (load) w_out <= w_in;
    end
endmodule
