// ROWS x COLS units of LANES lanes: KIND 0 dot_unit, 1 serial_unit, 2 popcount_unit.
// One block of results after the other; for each, all slices of k; for each, all pairs of planes.
module lanes_array #(
    parameter KIND = 0, parameter ROWS = 1, parameter COLS = 1, parameter LANES = 16,
    parameter X_BITS = 2, parameter X_SIGNED = 0, parameter SUM_BITS = 32,
    parameter WORDS = 65536, parameter RESULTS = 4096
) (
    input  wire clk, input wire start,
    input  wire [31:0] m, input wire [31:0] k, input wire [31:0] n,
    input  wire [31:0] x_base, input wire [31:0] w_base,
    input  wire [31:0] x_bits, input wire [31:0] w_bits,
    input  wire x_signed, input wire w_signed,
    output reg  busy
);
    localparam ADD = KIND == 0 ? 1 : 2;  // registers before the accumulator
    reg [31:0] words [0:WORDS-1];
    reg signed [31:0] results [0:RESULTS-1];

    // What enters now: block (m0, n0), slice k0, planes i of X and j of W.
    reg entering;
    reg [31:0] m0, n0, k0, i, j;
    wire [31:0] i_end = KIND == 0 ? 1 : x_bits, j_end = KIND == 2 ? w_bits : 1;
    wire last_j = j + 1 == j_end, last_i = i + 1 == i_end, last_k = k0 + LANES >= k;
    wire last_n = n0 + COLS >= n, last_m = m0 + ROWS >= m;
    wire first = k0 == 0 && i == 0 && j == 0, last = last_k && last_i && last_j;
    wire negative = (KIND != 0 && x_signed && last_i) ^ (KIND == 2 && w_signed && last_j);

    // What is where: index s is the step in stage s + 2.
    reg valid [0:3], firsts [0:3], lasts [0:3], ends [0:3], negatives [0:3];
    reg [4:0] shifts [0:3];
    reg [31:0] m_of [0:3], n_of [0:3];
    wire add = valid[ADD-1], write = valid[ADD] && lasts[ADD];

    genvar r, c, l;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            wire [LANES*X_BITS-1:0] whole;
            wire [LANES-1:0] plane;
            for (l = 0; l < LANES; l = l + 1) begin : lane
                wire held = entering && m0 + r < m && k0 + l < k;
                wire [31:0] word = words[held ? x_base + (m0 + r) * k + k0 + l : 0];
                assign whole[l*X_BITS+:X_BITS] = held ? word[X_BITS-1:0] : 0;
                assign plane[l] = held && word[i[4:0]];
            end
        end
        for (c = 0; c < COLS; c = c + 1) begin : column
            wire [LANES*2-1:0] whole;
            wire [LANES-1:0] plane;
            for (l = 0; l < LANES; l = l + 1) begin : lane
                wire held = entering && n0 + c < n && k0 + l < k;
                wire [31:0] word = words[held ? w_base + (k0 + l) * n + n0 + c : 0];
                assign whole[2*l+:2] = held ? word[1:0] : 0;
                assign plane[l] = held && word[j[4:0]];
            end
        end
        for (r = 0; r < ROWS; r = r + 1) begin : high
            for (c = 0; c < COLS; c = c + 1) begin : wide
                wire signed [SUM_BITS-1:0] sum;
                if (KIND == 0)
                    dot_unit #(.LANES(LANES), .X_BITS(X_BITS), .X_SIGNED(X_SIGNED),
                               .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .x(row[r].whole), .w(column[c].whole), .add(add),
                        .first(firsts[ADD-1]), .sum(sum));
                else if (KIND == 1)
                    serial_unit #(.LANES(LANES), .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .bits(row[r].plane), .w(column[c].whole), .shift(shifts[0]),
                        .negative(negatives[0]), .add(add), .first(firsts[ADD-1]), .sum(sum));
                else
                    popcount_unit #(.LANES(LANES), .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .x(row[r].plane), .w(column[c].plane), .shift(shifts[0]),
                        .negative(negatives[0]), .add(add), .first(firsts[ADD-1]), .sum(sum));
                always @(posedge clk)
                    if (busy && write && m_of[ADD] + r < m && n_of[ADD] + c < n)
                        results[(m_of[ADD] + r) * n + n_of[ADD] + c] <= 32'(sum);
            end
        end
    endgenerate

    integer s;
    initial begin
        busy = 0; entering = 0;
        for (s = 0; s < 4; s = s + 1) begin valid[s] = 0; lasts[s] = 0; ends[s] = 0; end
    end
    always @(posedge clk) begin
        valid[0] <= entering; firsts[0] <= first; lasts[0] <= last; negatives[0] <= negative;
        ends[0] <= entering && last && last_n && last_m;
        shifts[0] <= 5'(i + j); m_of[0] <= m0; n_of[0] <= n0;
        for (s = 1; s < 4; s = s + 1) begin
            valid[s] <= valid[s-1]; firsts[s] <= firsts[s-1]; lasts[s] <= lasts[s-1];
            ends[s] <= ends[s-1]; m_of[s] <= m_of[s-1]; n_of[s] <= n_of[s-1];
        end
        if (start) begin
            busy <= 1; entering <= 1; m0 <= 0; n0 <= 0; k0 <= 0; i <= 0; j <= 0;
        end else if (entering) begin
            j <= last_j ? 0 : j + 1;
            if (last_j) i <= last_i ? 0 : i + 1;
            if (last_j && last_i) k0 <= last_k ? 0 : k0 + LANES;
            if (last) n0 <= last_n ? 0 : n0 + COLS;
            if (last && last_n) m0 <= m0 + ROWS;
            if (last && last_n && last_m) entering <= 0;
        end
        if (ends[ADD]) busy <= 0;
    end
endmodule
