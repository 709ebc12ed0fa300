// Accumulator of a processing element; every unit of these files has one, and the same ports.
// `first` starts a sum, `shift` doubles what is there (operands in series, the top bit first),
// `negative` subtracts the term.
module pe_accumulator #(
    parameter TERM_BITS = 16, parameter SUM_BITS = 32,
    parameter SHIFTS = 0, parameter NEGATES = 0
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire signed [TERM_BITS-1:0] term,
    output reg signed [SUM_BITS-1:0] sum
);
    wire minus = NEGATES ? negative : 1'b0;
    wire signed [SUM_BITS-1:0] wide = term;
    wire signed [SUM_BITS-1:0] held = first ? 0 : (SHIFTS && shift) ? sum <<< 1 : sum;
    wire signed [SUM_BITS-1:0] addend = minus ? ~wide : wide;
    always @(posedge clk) sum <= held + addend + $signed({1'b0, minus});
endmodule
