// Multiply-accumulate of two signed operands, registers for both.
module pe_mac #(
    parameter X_BITS = 8, parameter W_BITS = 8, parameter SUM_BITS = 32
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [X_BITS-1:0] x, input wire [W_BITS-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    reg signed [X_BITS-1:0] x_held;
    reg signed [W_BITS-1:0] w_held;
    always @(posedge clk) begin x_held <= x; w_held <= w; end
    wire signed [X_BITS+W_BITS-1:0] product = x_held * w_held;
    pe_accumulator #(.TERM_BITS(X_BITS + W_BITS), .SUM_BITS(SUM_BITS)) accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(product), .sum(sum)
    );
endmodule
