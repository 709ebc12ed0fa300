// Bricks of 2 x 2 bits: digits come as three bits in two's complement, the product of two goes to its
// place. Stage 1 multiplies and adds, 2 weighs by the parts of the operands, 3 accumulates.
module fused_unit #(
    parameter BRICKS = 16, parameter SUM_BITS = 48
) (
    input  wire clk,
    input  wire [BRICKS*3-1:0] x, input wire [BRICKS*3-1:0] w,
    input  wire [BRICKS*4-1:0] places,  // digits that a product is moved up by
    input  wire [4:0] shift,            // of the step in stage 2
    input  wire add, input wire first,  // of the step in stage 3
    output reg signed [SUM_BITS-1:0] sum
);
    reg signed [SUM_BITS-1:0] tree, lanes, weighed;
    reg signed [2:0] left, right;
    reg signed [5:0] product;
    reg signed [SUM_BITS-1:0] wide;
    integer b;
    always @* begin
        tree = 0;
        for (b = 0; b < BRICKS; b = b + 1) begin
            left = x[3*b+:3];
            right = w[3*b+:3];
            product = left * right;
            wide = product;
            tree = tree + (wide <<< {places[4*b+:4], 1'b0});
        end
    end
    initial begin lanes = 0; weighed = 0; sum = 0; end
    always @(posedge clk) begin
        lanes <= tree;
        weighed <= lanes <<< shift;
        if (add) sum <= (first ? 0 : sum) + weighed;
    end
endmodule
