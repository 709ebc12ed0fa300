// Adds, subtracts or skips x: weights -1, 0, 1 in two bits, registers for both operands.
module pe_ternary #(
    parameter X_BITS = 8, parameter X_SIGNED = 1, parameter SUM_BITS = 24
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [X_BITS-1:0] x, input wire [1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    reg [X_BITS-1:0] x_held;
    reg [1:0] w_held;
    always @(posedge clk) begin x_held <= x; w_held <= w; end
    wire top = X_SIGNED ? x_held[X_BITS-1] : 1'b0;
    wire [X_BITS:0] term = {top, x_held} & {(X_BITS + 1){w_held[0]}};
    pe_accumulator #(.TERM_BITS(X_BITS + 1), .SUM_BITS(SUM_BITS), .NEGATES(1)) accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(w_held[1]), .term(term), .sum(sum)
    );
endmodule
