// Convolution with ternary weights [4.1.3], one weight a clock: add, subtract or skip, no multiplier.
// Memories are outside: the addresses are those of the exported arrays, elements in C order.
module ternary_conv #(
    parameter N = 1, C = 1, H = 1, W = 1, F = 1, K = 1, R = 1, S = 1,  // K: channels of a group
    parameter STRIDE_H = 1, STRIDE_W = 1, DILATION_H = 1, DILATION_W = 1, TOP = 0, LEFT = 0,
    parameter OUT_H = 1, OUT_W = 1, GROUP_FILTERS = 1
) (
    input clk,
    input start,
    output [31:0] x_address, w_address, b_address,
    input signed [31:0] x,
    input [1:0] w,                  // 00: 0, 01: +1, 11: -1 [2.1.2]
    input signed [31:0] b,          // 0 where there is no bias
    output reg [31:0] y_address,
    output reg signed [31:0] y,
    output reg y_valid,
    output reg done
);
    integer n, f, i, j, c, r, s;
    reg running;
    reg signed [31:0] acc;

    wire signed [31:0] row = i * STRIDE_H + r * DILATION_H - TOP;
    wire signed [31:0] column = j * STRIDE_W + s * DILATION_W - LEFT;
    wire inside = row >= 0 && row < H && column >= 0 && column < W;
    wire first = c == 0 && r == 0 && s == 0;
    wire last = c == K - 1 && r == R - 1 && s == S - 1;

    // Groups are consecutive: filter f reads the channels of group f / (F/G).
    assign x_address = inside ? ((n * C + f / GROUP_FILTERS * K + c) * H + row) * W + column : 0;
    assign w_address = ((f * K + c) * R + r) * S + s;
    assign b_address = f;

    wire signed [31:0] begun = first ? b : acc;
    wire signed [31:0] term = !inside || !w[0] ? 0 : w[1] ? -x : x;
    wire signed [31:0] sum = begun + term;

    always @(posedge clk) begin
        y_valid <= 0;
        if (start) begin
            {n, f, i, j, c, r, s} = 0;
            running <= 1;
            done <= 0;
        end else if (running) begin
            acc <= sum;
            if (last) begin
                y <= sum;
                y_address <= ((n * F + f) * OUT_H + i) * OUT_W + j;
                y_valid <= 1;
            end
            // The counters of seven nested loops, the innermost first.
            s = s + 1;
            if (s == S) begin s = 0; r = r + 1; end
            if (r == R) begin r = 0; c = c + 1; end
            if (c == K) begin c = 0; j = j + 1; end
            if (j == OUT_W) begin j = 0; i = i + 1; end
            if (i == OUT_H) begin i = 0; f = f + 1; end
            if (f == F) begin f = 0; n = n + 1; end
            if (n == N) begin running <= 0; done <= 1; end
        end
    end
endmodule
