// Requantization of one accumulator [3.2.2]: exact product, one rounding, then saturation.
module requantize #(
    parameter RULE = 0,             // 0: half_even, 1: half_up, 2: half_away
    parameter signed [31:0] LO = -128, HI = 127
) (
    input signed [31:0] acc,
    input signed [15:0] mult,
    input [5:0] shift,              // 0 to 46
    output signed [31:0] y
);
    wire signed [47:0] product = acc * mult;
    wire signed [47:0] floor = product >>> shift;
    wire [47:0] rest = product - (floor <<< shift);
    wire [47:0] half = shift == 0 ? 48'd0 : 48'd1 << (shift - 1);
    wire tie = shift != 0 && rest == half;
    wire above = shift != 0 && rest > half;
    wire up = RULE == 0 ? floor[0] : RULE == 1 ? 1'b1 : !product[47];
    wire signed [47:0] rounded = floor + ((above || (tie && up)) ? 48'sd1 : 48'sd0);
    assign y = rounded < LO ? LO : rounded > HI ? HI : rounded[31:0];
endmodule
