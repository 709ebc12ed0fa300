// The code of one element [4.2.2]: how many of L thresholds are passed. No multiply, no rounding.
module threshold #(parameter L = 3) (
    input signed [31:0] x,
    input negative,                 // sign -1: the accumulator is negated before it is compared
    input [32*L-1:0] t,             // threshold k in bits 32*k and up
    output reg [31:0] code
);
    // [1.3.1] keeps -x a 32-bit number.
    wire signed [31:0] signed_x = negative ? -x : x;
    integer k;
    always @* begin
        code = 0;
        for (k = 0; k < L; k = k + 1)
            if (signed_x >= $signed(t[32*k +: 32])) code = code + 1;
    end
endmodule
