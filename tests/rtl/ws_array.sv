// Weight-stationary array: a fold loads ROWS x COLS weights, then all rows of X stream past.
// Columns of W outermost, k innermost; sums of later slices of k are added to those before.
module ws_array #(
    parameter ROWS = 4, parameter COLS = 4, parameter TERNARY = 0,
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

    reg loading;
    reg [31:0] t, k0, n0;  // clock of the phase, first row and column of the fold
    wire [31:0] length = loading ? ROWS : m + ROWS + COLS - 2;
    wire phase_ends = t == length - 1;
    wire last_slice = k0 + ROWS >= k, last_fold = last_slice && n0 + COLS >= n;

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            wire signed [31:0] line = t - r;  // row of X that enters here now
            wire wanted = busy && !loading && line >= 0 && line < m && k0 + r < k;
            wire [31:0] word = words[wanted ? x_base + line * k + k0 + r : 0];
            wire signed [X_BITS-1:0] entering = wanted ? word[X_BITS-1:0] : 0;
            for (c = 0; c < COLS; c = c + 1) begin : column
                wire signed [X_BITS-1:0] x_in, x_out;
                wire signed [W_BITS-1:0] w_in, w_out;
                wire signed [SUM_BITS-1:0] sum_in, sum_out, sum_next;
                if (c == 0) assign x_in = entering;
                else assign x_in = row[r].column[c-1].x_out;
                if (r == 0) begin
                    wire [31:0] depth = k0 + ROWS - 1 - t;  // the deepest row first
                    wire held = depth < k && n0 + c < n;
                    wire [31:0] weight = words[held ? w_base + depth * n + n0 + c : 0];
                    assign w_in = held ? weight[W_BITS-1:0] : 0;
                    assign sum_in = 0;
                end else begin
                    assign w_in = row[r-1].column[c].w_out;
                    assign sum_in = row[r-1].column[c].sum_out;
                end
                if (TERNARY) begin
                    ternary_pe #(.X_BITS(X_BITS), .W_BITS(W_BITS), .SUM_BITS(SUM_BITS)) pe (
                        .clk(clk), .load(busy && loading), .x_in(x_in), .x_out(x_out), .w_in(w_in),
                        .w_out(w_out), .sum_in(sum_in), .sum_out(sum_out), .sum_next(sum_next));
                end else begin
                    mac_pe #(.X_BITS(X_BITS), .W_BITS(W_BITS), .SUM_BITS(SUM_BITS)) pe (
                        .clk(clk), .load(busy && loading), .x_in(x_in), .x_out(x_out), .w_in(w_in),
                        .w_out(w_out), .sum_in(sum_in), .sum_out(sum_out), .sum_next(sum_next));
                end
                if (r == ROWS - 1) begin
                    wire signed [31:0] leaving = t - (ROWS - 1) - c;
                    wire [31:0] place = leaving * n + n0 + c;
                    always @(posedge clk)
                        if (busy && !loading && leaving >= 0 && leaving < m && n0 + c < n)
                            results[place] <= (k0 == 0 ? 0 : results[place]) + 32'(sum_next);
                end
            end
        end
    endgenerate

    initial busy = 0;
    always @(posedge clk) begin
        if (start) begin
            busy <= 1; loading <= 1; t <= 0; k0 <= 0; n0 <= 0;
        end else if (busy) begin
            t <= phase_ends ? 0 : t + 1;
            if (phase_ends) loading <= !loading;
            if (phase_ends && !loading) begin
                k0 <= last_slice ? 0 : k0 + ROWS;
                if (last_slice) n0 <= n0 + COLS;
                if (last_fold) busy <= 0;
            end
        end
    end
endmodule
