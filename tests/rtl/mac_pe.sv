// PE of a weight-stationary array: the weight stays, X goes right, sums go down.
module mac_pe #(
    parameter X_BITS = 8, parameter W_BITS = 8, parameter SUM_BITS = 32
) (
    input  wire clk, input wire load,
    input  wire signed [X_BITS-1:0] x_in, output reg signed [X_BITS-1:0] x_out,
    input  wire signed [W_BITS-1:0] w_in, output reg signed [W_BITS-1:0] w_out,
    input  wire signed [SUM_BITS-1:0] sum_in, output reg signed [SUM_BITS-1:0] sum_out,
    output wire signed [SUM_BITS-1:0] sum_next  // what sum_out becomes with this clock
);
    /* verilator no_inline_module */
    wire signed [X_BITS+W_BITS-1:0] product = x_in * w_out;
    assign sum_next = sum_in + product;
    initial begin x_out = 0; w_out = 0; sum_out = 0; end
    always @(posedge clk) begin
        x_out <= x_in;
        sum_out <= sum_next;
        if (load) w_out <= w_in;
    end
endmodule
