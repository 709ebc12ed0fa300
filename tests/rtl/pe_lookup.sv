// Lanes that look a sum up: a table holds the sums of every choice of three inputs but the empty
// one, and one bit of three weights picks one of them; the top bits first (UNPU). The sums come on
// x, seven a table; in an array one table serves all columns, so it is no part of the unit.
module pe_lookup #(
    parameter TABLES = 4, parameter ENTRY_BITS = 18, parameter SUM_BITS = 48
) (
    input  wire clk, input wire first, input wire shift, input wire negative,
    input  wire [TABLES*7*ENTRY_BITS-1:0] x, input wire [TABLES*3-1:0] w,
    output wire signed [SUM_BITS-1:0] sum
);
    localparam TREE_BITS = ENTRY_BITS + $clog2(TABLES);
    reg signed [TREE_BITS-1:0] tree, lanes;
    reg signed [ENTRY_BITS-1:0] found;
    reg [8*ENTRY_BITS-1:0] sums;
    integer t;
    always @* begin
        tree = 0;
        for (t = 0; t < TABLES; t = t + 1) begin
            sums = {x[t*7*ENTRY_BITS+:7*ENTRY_BITS], {ENTRY_BITS{1'b0}}};
            found = sums[w[3*t+:3]*ENTRY_BITS+:ENTRY_BITS];
            tree = tree + found;
        end
    end
    always @(posedge clk) lanes <= tree;
    pe_accumulator #(.TERM_BITS(TREE_BITS), .SUM_BITS(SUM_BITS), .SHIFTS(1), .NEGATES(1))
    accumulator (
        .clk(clk), .first(first), .shift(shift), .negative(negative), .term(lanes), .sum(sum)
    );
endmodule
