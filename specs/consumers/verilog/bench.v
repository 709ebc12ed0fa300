// Feeds one unit with the $readmemh export of a vector and writes its answer with $writememh.
// Macros: UNIT_CONV, UNIT_THRESHOLD or UNIT_REQUANTIZE; X, A, B, Y (file names: operands in order,
// answer); XN, AN, BN, YN (words); XB, AB, BB, YB (bits); XS, AS, BS (signed); and those of the unit.
`timescale 1ns / 1ns
module bench;
    reg [`XB-1:0] x[0:`XN-1];
    reg [`AB-1:0] a[0:`AN-1];
    reg [`BB-1:0] b[0:`BN-1];
    reg [`YB-1:0] y[0:`YN-1];

    // The two's complement of a field of the width of its type [1.1.3].
    function signed [31:0] extended(input [31:0] word, input integer bits, input is_signed);
        extended = is_signed && word[bits-1] ? word | (-32'sd1 << bits) : word;
    endfunction

    integer i, k;
    initial begin
        $readmemh(`X, x);
        $readmemh(`A, a);
`ifdef B
        $readmemh(`B, b);
`else
        for (i = 0; i < `BN; i = i + 1) b[i] = 0;
`endif
    end

`ifdef UNIT_CONV
    reg clk = 0, start = 1;
    wire [31:0] xa, wa, ba, ya;
    wire signed [31:0] value;
    wire valid, done;
    ternary_conv #(`CONV_PARAMETERS) unit (
        .clk(clk), .start(start), .x_address(xa), .w_address(wa), .b_address(ba),
        .x(extended(x[xa], `XB, `XS)), .w(a[wa]), .b(extended(b[ba % `BN], `BB, `BS)),
        .y_address(ya), .y(value), .y_valid(valid), .done(done));
    always #1 clk = !clk;
    always @(negedge clk) begin
        start = 0;
        if (valid) y[ya] = value[`YB-1:0];
        if (done) begin $writememh(`Y, y); $finish; end
    end
`else
    reg signed [31:0] element, one, two;
    wire signed [31:0] value;
  `ifdef UNIT_THRESHOLD
    reg [32*`L-1:0] row;
    threshold #(.L(`L)) unit (.x(element), .negative(two[1]), .t(row), .code(value));
  `else
    requantize #(.RULE(`RULE), .LO(`LO), .HI(`HI)) unit (
        .acc(element), .mult(one[15:0]), .shift(two[5:0]), .y(value));
  `endif
    integer channel;
    initial begin
        #1;
        for (i = 0; i < `YN; i = i + 1) begin
            channel = i / `INNER % `C;
            element = extended(x[i], `XB, `XS);
            one = extended(a[channel], `AB, `AS);
            two = extended(b[channel], `BB, `BS);
  `ifdef UNIT_THRESHOLD
            for (k = 0; k < `L; k = k + 1) row[32*k +: 32] = extended(a[channel*`L + k], `AB, `AS);
  `endif
            #1 y[i] = value[`YB-1:0];
        end
        $writememh(`Y, y);
        $finish;
    end
`endif
endmodule
