// Runs every problem of a vector file: prints its number, its clocks, and how many values are wrong.
module bench;
    parameter ROWS = 4, COLS = 4, LANES = 1, KIND = 0, TERNARY = 0, X_BITS = 9, W_BITS = 9;
    parameter X_SIGNED = 0, SERIAL = 2, REACH = 1, SKIP = 1, WORDS = 65536, RESULTS = 4096, LIMIT = 100000000;
    localparam HEADER = 10;

    reg clk = 0, start = 0;
    always #1 clk = ~clk;
    reg [31:0] words [0:WORDS-1];
    reg [31:0] head [0:HEADER-1];
    wire busy;

`ifdef LANES_ARRAY
    lanes_array #(
        .KIND(KIND), .ROWS(ROWS), .COLS(COLS), .LANES(LANES), .X_BITS(X_BITS),
        .X_SIGNED(X_SIGNED), .WORDS(WORDS), .RESULTS(RESULTS)
    ) array (
        .clk(clk), .start(start), .m(head[0]), .k(head[1]), .n(head[2]), .x_base(head[3]),
        .w_base(head[4]), .x_bits(head[6]), .w_bits(head[7]), .x_signed(head[8][0]),
        .w_signed(head[9][0]), .busy(busy));
`elsif PARTS_ARRAY
    parts_array #(
        .KIND(KIND), .ROWS(ROWS), .COLS(COLS), .LANES(LANES), .SERIAL(SERIAL), .WORDS(WORDS),
        .RESULTS(RESULTS)
    ) array (
        .clk(clk), .start(start), .m(head[0]), .k(head[1]), .n(head[2]), .x_base(head[3]),
        .w_base(head[4]), .x_bits(head[6]), .w_bits(head[7]), .x_signed(head[8][0]),
        .w_signed(head[9][0]), .busy(busy));
`elsif SKIP_ARRAY
    skip_array #(
        .ROWS(ROWS), .COLS(COLS), .LANES(LANES), .REACH(REACH), .SKIP(SKIP), .WORDS(WORDS),
        .RESULTS(RESULTS)
    ) array (
        .clk(clk), .start(start), .m(head[0]), .k(head[1]), .n(head[2]), .x_base(head[3]),
        .w_base(head[4]), .busy(busy));
`elsif OS_ARRAY
    os_array #(
        .ROWS(ROWS), .COLS(COLS), .X_BITS(X_BITS), .W_BITS(W_BITS), .WORDS(WORDS),
        .RESULTS(RESULTS)
    ) array (
        .clk(clk), .start(start), .m(head[0]), .k(head[1]), .n(head[2]), .x_base(head[3]),
        .w_base(head[4]), .busy(busy));
`else
    ws_array #(
        .ROWS(ROWS), .COLS(COLS), .TERNARY(TERNARY), .X_BITS(X_BITS), .W_BITS(W_BITS),
        .WORDS(WORDS), .RESULTS(RESULTS)
    ) array (
        .clk(clk), .start(start), .m(head[0]), .k(head[1]), .n(head[2]), .x_base(head[3]),
        .w_base(head[4]), .busy(busy));
`endif

    reg [8*512-1:0] path;
    integer problem, clocks, wrong, at;
    initial begin
        if (!$value$plusargs("vectors=%s", path)) $fatal(1, "no +vectors=FILE");
        $readmemh(path, words);
        $readmemh(path, array.words);
        for (problem = 0; problem < words[0]; problem = problem + 1) begin
            for (at = 0; at < HEADER; at = at + 1) head[at] = words[1 + problem * HEADER + at];
            @(negedge clk) start = 1;
            @(negedge clk) start = 0;
            clocks = 0;
            while (busy && clocks < LIMIT) begin
                clocks = clocks + 1;
                @(negedge clk);
            end
            wrong = 0;
            for (at = 0; at < head[0] * head[2]; at = at + 1)
                if (array.results[at] !== words[head[5] + at]) wrong = wrong + 1;
            $display("problem %0d clocks %0d wrong %0d", problem, clocks, wrong);
        end
        $finish;
    end
endmodule
