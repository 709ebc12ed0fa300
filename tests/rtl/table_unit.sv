// One bit of three weights picks a sum of a table of eight: UNPU's unit, without the tables, which
// serve a row. Stage 2 looks up and adds, 3 weighs by the plane, 4 accumulates.
module table_unit #(
    parameter TABLES = 4, parameter ENTRY_BITS = 19, parameter SUM_BITS = 48
) (
    input  wire clk,
    input  wire [TABLES*8*ENTRY_BITS-1:0] tables, input wire [TABLES*3-1:0] w,
    input  wire [4:0] shift, input wire negative,  // of the step in stage 3
    input  wire add, input wire first,             // of the step in stage 4
    output reg signed [SUM_BITS-1:0] sum
);
    reg signed [SUM_BITS-1:0] tree, lanes, weighed;
    reg signed [ENTRY_BITS-1:0] found;
    wire signed [SUM_BITS-1:0] shifted = lanes <<< shift;
    integer t;
    always @* begin
        tree = 0;
        for (t = 0; t < TABLES; t = t + 1) begin
            found = tables[(t*8+{29'b0, w[3*t+:3]})*ENTRY_BITS+:ENTRY_BITS];
            tree = tree + found;
        end
    end
    initial begin lanes = 0; weighed = 0; sum = 0; end
    always @(posedge clk) begin
        lanes <= tree;
        weighed <= negative ? -shifted : shifted;
        if (add) sum <= (first ? 0 : sum) + weighed;
    end
endmodule
