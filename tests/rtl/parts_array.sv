// ROWS x COLS units that take operands in parts: KIND 0 loom_unit (SERIAL bits of X, one of W),
// 1 fused_unit (LANES units of 16 bricks), 2 table_unit (LANES tables of three inputs).
// One block of results after the other; for each, all slices of k; for each, all pairs of parts.
module parts_array #(
    parameter KIND = 0, parameter ROWS = 1, parameter COLS = 1, parameter LANES = 4,
    parameter SERIAL = 2, parameter SUM_BITS = 48,
    parameter WORDS = 65536, parameter RESULTS = 4096
) (
    input  wire clk, input wire start,
    input  wire [31:0] m, input wire [31:0] k, input wire [31:0] n,
    input  wire [31:0] x_base, input wire [31:0] w_base,
    input  wire [31:0] x_bits, input wire [31:0] w_bits,
    input  wire x_signed, input wire w_signed,
    output reg  busy
);
    localparam ADD = KIND == 2 ? 3 : 2;  // registers before the accumulator
    localparam TAKEN = KIND == 0 ? LANES : KIND == 1 ? 16 * LANES : 3 * LANES;  // places of operands
    localparam FIELD_BITS = SERIAL + 1, ENTRY_BITS = 19;
    reg [31:0] words [0:WORDS-1];
    reg signed [31:0] results [0:RESULTS-1];

    // Digits of two bits that one part of an operand has, for bricks.
    wire [31:0] x_digits = x_bits >= 8 ? 4 : x_bits / 2, w_digits = w_bits >= 8 ? 4 : w_bits / 2;
    wire [31:0] bricks = x_digits * w_digits;  // of one product
    wire [31:0] slice = KIND == 1 ? 16 * LANES / bricks : TAKEN;

    // What enters now: block (m0, n0), slice k0, parts i of X and j of W.
    reg entering;
    reg [31:0] m0, n0, k0, i, j;
    wire [31:0] i_end = KIND == 0 ? (x_bits + SERIAL - 1) / SERIAL
                      : KIND == 1 ? (x_bits > 8 ? 2 : 1) : 1;
    wire [31:0] j_end = KIND == 1 ? (w_bits > 8 ? 2 : 1) : w_bits;
    wire last_j = j + 1 == j_end, last_i = i + 1 == i_end, last_k = k0 + slice >= k;
    wire last_n = n0 + COLS >= n, last_m = m0 + ROWS >= m;
    wire first = k0 == 0 && i == 0 && j == 0, last = last_k && last_i && last_j;
    wire negative = KIND != 1 && w_signed && last_j;
    wire [31:0] shift = KIND == 0 ? i * SERIAL + j : KIND == 1 ? 8 * (i + j) : j;

    // What is where: index s is the step in stage s + 2.
    reg valid [0:3], firsts [0:3], lasts [0:3], ends [0:3], negatives [0:3];
    reg [4:0] shifts [0:3];
    reg [31:0] m_of [0:3], n_of [0:3];
    wire add = valid[ADD-1], write = valid[ADD] && lasts[ADD];

    // A digit of a word: two bits, and the sign if they are the top ones of a signed operand.
    function [2:0] digit(input [31:0] word, input [31:0] at, input [31:0] bits, input sign);
        digit = {sign && at + 2 == bits && word[at+1], word[at+:2]};
    endfunction

    genvar r, c, l;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            wire [TAKEN*FIELD_BITS-1:0] fields;
            wire [TAKEN*3-1:0] digits;
            wire signed [16:0] inputs [0:TAKEN-1];
            for (l = 0; l < TAKEN; l = l + 1) begin : lane
                wire [31:0] mine = k0 + (KIND == 1 ? l / bricks : l);
                wire held = entering && m0 + r < m && mine < k;
                wire [31:0] word = held ? words[x_base + (m0 + r) * k + mine] : 0;
                wire signed [31:0] moved = $signed(word) >>> (i * SERIAL);
                assign fields[l*FIELD_BITS+:FIELD_BITS] = {x_signed && last_i && word[31],
                                                           moved[SERIAL-1:0]};
                assign digits[3*l+:3] = digit(word, 8 * i + 2 * (l % bricks % x_digits), x_bits,
                                              x_signed);
                assign inputs[l] = word[16:0];
            end
            if (KIND == 2) begin : filled
                reg [LANES*8*ENTRY_BITS-1:0] tables;
                reg signed [ENTRY_BITS-1:0] total;
                integer t, e;
                always @(posedge clk)
                    if (entering && j == 0)
                        for (t = 0; t < LANES; t = t + 1)
                            for (e = 0; e < 8; e = e + 1) begin
                                total = 0;
                                if (e & 1) total = total + inputs[3*t];
                                if (e & 2) total = total + inputs[3*t+1];
                                if (e & 4) total = total + inputs[3*t+2];
                                tables[(8*t+e)*ENTRY_BITS+:ENTRY_BITS] <= total;
                            end
            end
        end
        for (c = 0; c < COLS; c = c + 1) begin : column
            wire [TAKEN-1:0] plane;
            reg [TAKEN-1:0] plane_after;
            wire [TAKEN*3-1:0] digits;
            wire [TAKEN*4-1:0] places;
            for (l = 0; l < TAKEN; l = l + 1) begin : lane
                wire [31:0] mine = k0 + (KIND == 1 ? l / bricks : l);
                wire held = entering && n0 + c < n && mine < k;
                wire [31:0] word = held ? words[w_base + mine * n + n0 + c] : 0;
                wire [31:0] up = l % bricks / x_digits;
                wire [31:0] place = l % bricks % x_digits + up;
                assign plane[l] = word[j[4:0]];
                assign digits[3*l+:3] = digit(word, 8 * j + 2 * up, w_bits, w_signed);
                assign places[4*l+:4] = place[3:0];
            end
            always @(posedge clk) plane_after <= plane;
        end
        for (r = 0; r < ROWS; r = r + 1) begin : high
            for (c = 0; c < COLS; c = c + 1) begin : wide
                wire signed [SUM_BITS-1:0] sum;
                if (KIND == 0)
                    loom_unit #(.LANES(LANES), .FIELD_BITS(FIELD_BITS), .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .fields(row[r].fields), .w(column[c].plane), .shift(shifts[0]),
                        .negative(negatives[0]), .add(add), .first(firsts[ADD-1]), .sum(sum));
                else if (KIND == 1)
                    fused_unit #(.BRICKS(TAKEN), .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .x(row[r].digits), .w(column[c].digits),
                        .places(column[c].places), .shift(shifts[0]), .add(add),
                        .first(firsts[ADD-1]), .sum(sum));
                else
                    table_unit #(.TABLES(LANES), .ENTRY_BITS(ENTRY_BITS), .SUM_BITS(SUM_BITS)) unit (
                        .clk(clk), .tables(row[r].filled.tables), .w(column[c].plane_after),
                        .shift(shifts[1]), .negative(negatives[1]), .add(add),
                        .first(firsts[ADD-1]), .sum(sum));
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
        shifts[0] <= shift[4:0]; m_of[0] <= m0; n_of[0] <= n0;
        for (s = 1; s < 4; s = s + 1) begin
            valid[s] <= valid[s-1]; firsts[s] <= firsts[s-1]; lasts[s] <= lasts[s-1];
            ends[s] <= ends[s-1]; m_of[s] <= m_of[s-1]; n_of[s] <= n_of[s-1];
            negatives[s] <= negatives[s-1]; shifts[s] <= shifts[s-1];
        end
        if (start) begin
            busy <= 1; entering <= 1; m0 <= 0; n0 <= 0; k0 <= 0; i <= 0; j <= 0;
        end else if (entering) begin
            j <= last_j ? 0 : j + 1;
            if (last_j) i <= last_i ? 0 : i + 1;
            if (last_j && last_i) k0 <= last_k ? 0 : k0 + slice;
            if (last) n0 <= last_n ? 0 : n0 + COLS;
            if (last && last_n) m0 <= m0 + ROWS;
            if (last && last_n && last_m) entering <= 0;
        end
        if (ends[ADD]) busy <= 0;
    end
endmodule
