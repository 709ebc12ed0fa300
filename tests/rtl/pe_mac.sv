// Multiply-accumulate of two signed operands. In a systolic array operands pass from PE to PE, so
// each PE has a register for both.
module pe_mac #(
    parameter X_BITS = 8, parameter W_BITS = 8, parameter SUM_BITS = 32
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [X_BITS-1:0] x, input wire [W_BITS-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    reg [X_BITS-1:0] x_held;
    reg [W_BITS-1:0] w_held;
    always @(posedge clk) begin x_held <= x; w_held <= w; end
    wire signed [SUM_BITS-1:0] product;
    pe_product #(.X_BITS(X_BITS), .W_BITS(W_BITS), .BITS(SUM_BITS)) multiplier (
        .x(x_held), .w(w_held), .product(product));
    pe_accumulator #(.TERM_BITS(SUM_BITS), .SUM_BITS(SUM_BITS)) accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(product), .sum(sum)
    );
endmodule
