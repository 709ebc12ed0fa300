// Output-stationary array: ROWS x COLS sums stay until k steps have passed, then go down.
module os_array #(
    parameter ROWS = 4, parameter COLS = 4,
    parameter X_BITS = 9, parameter W_BITS = 9, parameter SUM_BITS = 32,
    parameter WORDS = 65536, parameter RESULTS = 4096
) (
    input  wire clk, input wire start,
    input  wire [31:0] m, input wire [31:0] k, input wire [31:0] n,
    input  wire [31:0] x_base, input wire [31:0] w_base,
    output reg  busy
);
    reg [31:0] words [0:WORDS-1];
    reg signed [31:0] results [0:RESULTS-1];

    reg drain;
    reg [31:0] t, m0, n0;
    wire [31:0] length = drain ? ROWS : k + ROWS + COLS - 2;
    wire phase_ends = t == length - 1;
    wire last_column = n0 + COLS >= n, last_fold = last_column && m0 + ROWS >= m;

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            wire signed [31:0] step = t - r;
            wire wanted = busy && !drain && step >= 0 && step < k && m0 + r < m;
            wire [31:0] word = words[wanted ? x_base + (m0 + r) * k + step : 0];
            wire signed [X_BITS-1:0] entering = wanted ? word[X_BITS-1:0] : 0;
            for (c = 0; c < COLS; c = c + 1) begin : column
                wire signed [X_BITS-1:0] x_in, x_out;
                wire signed [W_BITS-1:0] w_in, w_out;
                wire signed [SUM_BITS-1:0] sum_in, sum_out;
                if (c == 0) assign x_in = entering;
                else assign x_in = row[r].column[c-1].x_out;
                if (r == 0) begin
                    wire signed [31:0] at = t - c;
                    wire held = busy && !drain && at >= 0 && at < k && n0 + c < n;
                    wire [31:0] weight = words[held ? w_base + at * n + n0 + c : 0];
                    assign w_in = held ? weight[W_BITS-1:0] : 0;
                    assign sum_in = 0;
                end else begin
                    assign w_in = row[r-1].column[c].w_out;
                    assign sum_in = row[r-1].column[c].sum_out;
                end
                sum_pe #(.X_BITS(X_BITS), .W_BITS(W_BITS), .SUM_BITS(SUM_BITS)) pe (
                    .clk(clk), .drain(busy && drain), .x_in(x_in), .x_out(x_out), .w_in(w_in),
                    .w_out(w_out), .sum_in(sum_in), .sum_out(sum_out));
                if (r == ROWS - 1) begin
                    wire [31:0] leaving = m0 + ROWS - 1 - t;  // the bottom row leaves first
                    always @(posedge clk)
                        if (busy && drain && leaving < m && n0 + c < n)
                            results[leaving * n + n0 + c] <= 32'(sum_out);
                end
            end
        end
    endgenerate

    initial busy = 0;
    always @(posedge clk) begin
        if (start) begin
            busy <= 1; drain <= 0; t <= 0; m0 <= 0; n0 <= 0;
        end else if (busy) begin
            t <= phase_ends ? 0 : t + 1;
            if (phase_ends) drain <= !drain;
            if (phase_ends && drain) begin
                n0 <= last_column ? 0 : n0 + COLS;
                if (last_column) m0 <= m0 + ROWS;
                if (last_fold) busy <= 0;
            end
        end
    end
endmodule
