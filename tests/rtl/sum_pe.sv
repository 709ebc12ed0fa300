// PE of an output-stationary array: the sum stays, X goes right, W goes down; drained down.
module sum_pe #(
    parameter X_BITS = 8, parameter W_BITS = 8, parameter SUM_BITS = 32
) (
    input  wire clk, input wire drain,
    input  wire signed [X_BITS-1:0] x_in, output reg signed [X_BITS-1:0] x_out,
    input  wire signed [W_BITS-1:0] w_in, output reg signed [W_BITS-1:0] w_out,
    input  wire signed [SUM_BITS-1:0] sum_in, output reg signed [SUM_BITS-1:0] sum_out
);
    /* verilator no_inline_module */
    wire signed [X_BITS+W_BITS-1:0] product = x_in * w_in;
    initial begin x_out = 0; w_out = 0; sum_out = 0; end
    always @(posedge clk) begin
        x_out <= x_in;
        w_out <= w_in;
        sum_out <= drain ? sum_in : sum_out + product;
    end
endmodule
