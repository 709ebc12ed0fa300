// Product of two signed operands by Baugh and Wooley: no partial product is sign-extended. Terms with
// one sign bit are inverted, and a constant makes up for that. At the width of the sum that follows,
// the partial products go into one carry-save tree with it.
module pe_product #(
    parameter X_BITS = 8, parameter W_BITS = 8, parameter BITS = X_BITS + W_BITS
) (
    input  wire [X_BITS-1:0] x, input wire [W_BITS-1:0] w,
    output reg signed [BITS-1:0] product
);
    localparam signed [BITS-1:0] ONE = 1;
    reg [X_BITS-1:0] terms;
    integer j;
    always @* begin
        product = (ONE <<< (X_BITS - 1)) + (ONE <<< (W_BITS - 1)) - (ONE <<< (X_BITS + W_BITS - 1));
        for (j = 0; j < W_BITS; j = j + 1) begin
            terms = x & {X_BITS{w[j]}};
            if (j == W_BITS - 1) terms = terms ^ {1'b0, {(X_BITS - 1){1'b1}}};
            else terms = terms ^ {1'b1, {(X_BITS - 1){1'b0}}};
            product = product + ({{(BITS - X_BITS){1'b0}}, terms} << j);
        end
    end
endmodule
