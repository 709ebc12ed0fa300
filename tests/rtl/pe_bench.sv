// Feeds one unit with words of a file and counts sums that differ from those in the file. A word:
// first, shift, negative, x, w, and the sum after it, without gaps. Operands are held one clock
// before they are accumulated, so the controls of a word come with the operands of the next.
module bench;
    parameter COUNT = 1;
    reg clk = 0;
    reg [2:0] control = 3'b100, next;
    reg [`X_WIDTH-1:0] x;
    reg [`W_WIDTH-1:0] w;
    wire signed [`SUM_BITS-1:0] sum;
    `UNIT unit (.clk(clk), .first(control[2]), .shift(control[1]), .negative(control[0]),
                .x(x), .w(w), .sum(sum));
    reg [`X_WIDTH+`W_WIDTH+`SUM_BITS+2:0] words [0:COUNT-1];
    reg signed [`SUM_BITS-1:0] wanted, last;
    integer i, wrong;
    initial begin
        wrong = 0;
        $readmemh(`FILE, words);
        for (i = 0; i <= COUNT; i = i + 1) begin
            last = wanted;
            if (i < COUNT) {next, x, w, wanted} = words[i];
            #1 clk = 1;
            #1 clk = 0;
            if (i > 0 && sum !== last) wrong = wrong + 1;
            control = next;
        end
        $display("words %0d wrong %0d", COUNT, wrong);
        $finish;
    end
endmodule
