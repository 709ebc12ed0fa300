// ROWS x COLS units of LANES ternary lanes that leave out products of zero weights (SKIP 1), zero
// inputs (2) or either (3). All units hold one window of REACH slices of k and leave it together.
// Stage 1 picks operands, 2 adds the lanes, 3 accumulates, 4 writes.
module skip_array #(
    parameter ROWS = 1, parameter COLS = 1, parameter LANES = 4, parameter REACH = 4,
    parameter SKIP = 1, parameter SUM_BITS = 32,
    parameter WORDS = 65536, parameter RESULTS = 4096
) (
    input  wire clk, input wire start,
    input  wire [31:0] m, input wire [31:0] k, input wire [31:0] n,
    input  wire [31:0] x_base, input wire [31:0] w_base,
    output reg  busy
);
    localparam WINDOW = LANES * REACH, UNITS = ROWS * COLS;
    reg [31:0] words [0:WORDS-1];
    reg signed [31:0] results [0:RESULTS-1];

    // What enters: block (m0, n0), window k0; `fresh` in its first clock.
    reg entering, fresh;
    reg [31:0] m0, n0, k0;
    wire [UNITS-1:0] through;  // units whose lanes have one product left at most
    wire leaves = &through;
    wire last_k = k0 + WINDOW >= k, last_n = n0 + COLS >= n, last_m = m0 + ROWS >= m;
    wire last = leaves && last_k;

    reg valid [0:2], firsts [0:2], lasts [0:2], ends [0:2];
    reg [31:0] m_of [0:2], n_of [0:2];

    genvar r, c, l, s;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLS; c = c + 1) begin : column
                wire signed [31:0] x [0:WINDOW-1];
                wire signed [31:0] w [0:WINDOW-1];
                wire [WINDOW-1:0] wanted;  // place l * REACH + s is product s of lane l
                reg [WINDOW-1:0] left;
                wire [WINDOW-1:0] mask = fresh ? wanted : left;
                wire [WINDOW-1:0] after;
                wire [LANES-1:0] done;
                reg [WINDOW-1:0] picked;
                reg signed [31:0] held_x [0:WINDOW-1];
                reg signed [31:0] held_w [0:WINDOW-1];
                reg signed [SUM_BITS-1:0] tree, lanes, sum;
                for (l = 0; l < LANES; l = l + 1) begin : lane
                    wire [REACH-1:0] mine = mask[l*REACH+:REACH];
                    assign after[l*REACH+:REACH] = mine & (mine - 1'b1);  // without the lowest one
                    assign done[l] = after[l*REACH+:REACH] == 0;
                    for (s = 0; s < REACH; s = s + 1) begin : place
                        wire [31:0] at = k0 + s * LANES + l;
                        wire held = entering && m0 + r < m && n0 + c < n && at < k;
                        assign x[l*REACH+s] = held ? words[x_base + (m0 + r) * k + at] : 0;
                        assign w[l*REACH+s] = held ? words[w_base + at * n + n0 + c] : 0;
                        assign wanted[l*REACH+s] = held && !(SKIP[0] && w[l*REACH+s] == 0)
                                                        && !(SKIP[1] && x[l*REACH+s] == 0);
                    end
                end
                assign through[r*COLS+c] = &done;
                integer i;
                always @* begin
                    tree = 0;
                    for (i = 0; i < WINDOW; i = i + 1)
                        if (picked[i] && held_w[i][0])
                            tree = held_w[i][1] ? tree - held_x[i] : tree + held_x[i];
                end
                always @(posedge clk) begin
                    left <= after;
                    picked <= entering ? mask & ~after : 0;
                    for (i = 0; i < WINDOW; i = i + 1) begin
                        held_x[i] <= x[i];
                        held_w[i] <= w[i];
                    end
                    lanes <= tree;
                    if (valid[1]) sum <= (firsts[1] ? 0 : sum) + lanes;
                    if (valid[2] && lasts[2] && m_of[2] + r < m && n_of[2] + c < n)
                        results[(m_of[2] + r) * n + n_of[2] + c] <= sum;
                end
            end
        end
    endgenerate

    integer t;
    initial begin
        busy = 0; entering = 0; fresh = 1;
        for (t = 0; t < 3; t = t + 1) begin valid[t] = 0; lasts[t] = 0; ends[t] = 0; end
    end
    always @(posedge clk) begin
        valid[0] <= entering; firsts[0] <= k0 == 0 && fresh; lasts[0] <= last;
        ends[0] <= entering && last && last_n && last_m;
        m_of[0] <= m0; n_of[0] <= n0;
        for (t = 1; t < 3; t = t + 1) begin
            valid[t] <= valid[t-1]; firsts[t] <= firsts[t-1]; lasts[t] <= lasts[t-1];
            ends[t] <= ends[t-1]; m_of[t] <= m_of[t-1]; n_of[t] <= n_of[t-1];
        end
        if (start) begin
            busy <= 1; entering <= 1; fresh <= 1; m0 <= 0; n0 <= 0; k0 <= 0;
        end else if (entering) begin
            fresh <= leaves;
            if (leaves) k0 <= last_k ? 0 : k0 + WINDOW;
            if (last) n0 <= last_n ? 0 : n0 + COLS;
            if (last && last_n) m0 <= m0 + ROWS;
            if (last && last_n && last_m) entering <= 0;
        end
        if (ends[2]) busy <= 0;
    end
endmodule
