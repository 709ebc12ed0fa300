"""The compatibility mode from the outside: configurations, the command line, malformed files."""

import json

import pytest
from hwsim_cases import ALEXNET
from hypothesis import given
from hypothesis import strategies as st

from hwsim import read_topology
from hwsim import simulate as own
from hwsim.cli import main
from hwsim.scalesim import architecture_of, read_config, simulate, to_topology, write_reports

COMPAT = ["--compat", "scalesim-3.0.0"]
CONFIG = """[general]
run_name = edge
[architecture_presets]
ArrayHeight:    16
ArrayWidth:     8
IfmapSramSzkB:  64
FilterSramSzkB: 32
OfmapSramSzkB:  4
IfmapOffset:    0
FilterOffset:   10000000
Bandwidth : 10
Dataflow : os
[run_presets]
InterfaceBandwidth: CALC
"""
TOPOLOGY = "Layer,H,W,R,S,C,F,stride,\nc1,9,9,3,3,4,8,1,\nxDP,9,9,3,3,2,1,2,\n"
GEMM = "Layer,M,N,K,\nqk,10,20,30,\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "c.cfg").write_text(CONFIG)
    (tmp_path / "t.csv").write_text(TOPOLOGY)
    (tmp_path / "g.csv").write_text(GEMM)
    return tmp_path


def test_configuration(files):
    config = read_config(files / "c.cfg")
    assert (config.run_name, config.R, config.C, config.dataflow) == ("edge", 16, 8, "os")
    assert (config.input_kb, config.filter_kb, config.output_kb) == (64, 32, 4)
    assert config.sparse == ""


def test_reports_on_the_command_line(files, capsys):
    arguments = ["simulate", str(files / "t.csv"), "--config", str(files / "c.cfg"), *COMPAT]
    assert main([*arguments, "--reports", str(files / "deep" / "out")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("as scalesim-3.0.0 reports it: 16 x 8, os, CALC")
    assert out.count("xDPChannel_") == 2
    written = {path.name: path.read_text() for path in (files / "deep" / "out").iterdir()}
    assert written == simulate(files / "t.csv", files / "c.cfg").reports()
    assert sorted(written) == [
        "BANDWIDTH_REPORT.csv", "COMPUTE_REPORT.csv", "DETAILED_ACCESS_REPORT.csv",
    ]
    lines = written["COMPUTE_REPORT.csv"].splitlines()
    assert lines[0] == (
        "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, "
        "Mapping Efficiency %, Compute Util %,"
    )
    assert lines[1].startswith("0, ")
    assert [line.split(", ")[0] for line in lines[1:]] == ["0", "1", "2"]
    assert all(line.endswith(",") for line in lines)


def test_json_and_gemm(files, capsys):
    arguments = ["simulate", str(files / "g.csv"), "--config", str(files / "c.cfg"), *COMPAT]
    assert main([*arguments, "--topology", "gemm", "--json"]) == 0
    (layer,) = json.loads(capsys.readouterr().out)["layers"]
    assert layer["name"] == "qk"
    assert layer["Total Cycles"] == 3 * (16 + 8 + 30 - 2) - 1
    assert layer["SRAM OFMAP Writes"] == 200 + 3 * 24


def test_own_numbers_for_a_configuration(files, capsys):
    """One cycle more than the tool says, and R for the drain of every fold [7b.8]."""
    config = read_config(files / "c.cfg")
    machine = architecture_of(config)
    workload = read_topology(files / "t.csv")
    theirs = simulate(files / "t.csv", files / "c.cfg").layers[0]
    mine = own(workload, machine).layers[0]
    folds = -(-mine.m // 16)
    assert mine.compute_cycles + mine.fill_drain_cycles == theirs.total_cycles + 1 + 16 * folds
    assert main(["simulate", str(files / "t.csv"), "--config", str(files / "c.cfg")]) == 0
    assert "on edge: 16 x 8 int8 PEs" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(files, ending, mark):
    plain = simulate(files / "t.csv", files / "c.cfg")
    for name, text in (("t.csv", TOPOLOGY), ("c.cfg", CONFIG)):
        (files / name).write_bytes(mark + text.replace("\n", ending).encode())
    assert simulate(files / "t.csv", files / "c.cfg").reports() == plain.reports()


def test_a_name_may_appear_twice(files):
    (files / "t.csv").write_text("h,\na,8,8,3,3,1,2,1,\na,8,8,3,3,1,2,1,\n")
    assert len(simulate(files / "t.csv", files / "c.cfg").layers) == 2


def test_sparsity_has_an_effect_only_where_it_is_on(files):
    (files / "t.csv").write_text("h,\na,8,8,3,3,4,2,1,2:4,\n")
    off = simulate(files / "t.csv", files / "c.cfg")
    assert off.layers[0].sram[1].words == 72 * 3
    (files / "c.cfg").write_text(
        CONFIG + "[sparsity]\nSparsitySupport: true\nSparseRep: csr\n"
    )
    on = simulate(files / "t.csv", files / "c.cfg")
    assert on.layers[0].sram[1].words == 36 * 3
    assert on.reports()["SPARSE_REPORT.csv"].splitlines()[1].startswith("0, csr, 72, 109, 73, ")


USER = """USER
[layout]
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 4
FilterSRAMBankBandwidth: 20
FilterSRAMBankNum: 10
"""


def test_given_bandwidths(files, capsys):
    """Those of reads are keys of the layout; of a list, only the first is used [7b.9.1]."""
    text = CONFIG.replace("CALC\n", USER.replace("Num: 4", "Num: 5"))
    (files / "c.cfg").write_text(text.replace("Bandwidth : 10", "Bandwidth : 7, 8"))
    assert read_config(files / "c.cfg").bandwidths == (10, 20, 7)
    assert main(["simulate", str(files / "t.csv"), "--config", str(files / "c.cfg"), *COMPAT]) == 0
    assert capsys.readouterr().out.startswith("as scalesim-3.0.0 reports it: 16 x 8, os, USER")


BAD_CONFIGS = [
    ("ArrayHeight:    16\n", "", "[architecture_presets] has no ArrayHeight, rule an integer"),
    ("ArrayHeight:    16", "ArrayHeight: 0", ":4: [architecture_presets] ArrayHeight = '0', rule"),
    ("ArrayWidth:     8", "ArrayWidth: -8", ":5: [architecture_presets] ArrayWidth = '-8', rule"),
    ("IfmapSramSzkB:  64", "IfmapSramSzkB: many", ":6: [architecture_presets] IfmapSramSzkB"),
    ("OfmapSramSzkB:  4", "OfmapSramSzkB: 1.5", ":8: [architecture_presets] OfmapSramSzkB"),
    ("FilterSramSzkB: 32", "FilterSramSzkB: " + "9" * 5000, ":7: [architecture_presets] Filter"),
    ("FilterSramSzkB: 32", "FilterSramSzkB: 1000000001", ":7: [architecture_presets] Filter"),
    ("Dataflow : os", "Dataflow : rs", ":12: [architecture_presets] Dataflow = 'rs', rule os, ws,"),
    ("Dataflow : os", "Dataflow : OS", ":12: [architecture_presets] Dataflow = 'OS', rule os, ws,"),
    ("Dataflow : os\n", "", "has no Dataflow, rule os, ws, is"),
    ("CALC", "BOTH", ":14: [run_presets] InterfaceBandwidth = 'BOTH', rule CALC, USER"),
    ("CALC", "USER", "no section [layout], rule one with IfmapSRAMBankBandwidth"),
    ("CALC\n", USER, ":17: [layout] IfmapSRAMBankNum = 4: rule a divisor of IfmapSRAMBankBand"),
    ("CALC\n", USER.replace("Num: 4", "Num: 0"), ":17: [layout] IfmapSRAMBankNum = '0', rule"),
    ("Bandwidth : 10\nDataflow : os\n[run_presets]\nInterfaceBandwidth: CALC\n",
     "Bandwidth : 0, 9\nDataflow : os\n[run_presets]\nInterfaceBandwidth: "
     + USER.replace("4", "5"),
     ":11: [architecture_presets] Bandwidth = '0', rule an integer from 1"),
    ("[run_presets]", "[run]", "no section [run_presets], rule one with InterfaceBandwidth"),
    ("CALC\n", "CALC\nUseRamulatorTrace: True\n", ":15: [run_presets] UseRamulatorTrace = True"),
    ("CALC\n", "CALC\nUseRamulatorTrace: maybe\n", ":15: [run_presets] UseRamulatorTrace = 'may"),
    ("CALC\n", "CALC\n[layout]\nIfmapCustomLayout: True\n", ":16: [layout] IfmapCustomLayout"),
    ("CALC\n", "CALC\n[sparsity]\nSparsitySupport: true\nSparseRep: coo\n", ":17: [sparsity] Spar"),
    ("CALC\n", "CALC\n[sparsity]\nSparsitySupport: true\nOptimizedMapping: true\n",
     ":17: [sparsity] OptimizedMapping = True: rule False"),
    ("CALC\n", "CALC\n[sparsity]\nSparsitySupport: true\n", "[sparsity] has no SparseRep"),
    ("[general]\n", "", "c.cfg: "),
    ("run_name = edge", "run_name = edge\nrun_name = other", "already exists"),
    ("[general]", "[general", "c.cfg: "),
]


@pytest.mark.parametrize(("old", "new", "seen"), BAD_CONFIGS)
def test_malformed_configurations_get_one_line(files, capsys, old, new, seen):
    assert old in CONFIG
    (files / "c.cfg").write_text(CONFIG.replace(old, new))
    expect_refusal(files, capsys, seen, files / "c.cfg")


def expect_refusal(files, capsys, seen, named, topology="t.csv", *more):
    before = sorted(files.iterdir())
    code = main(["simulate", str(files / topology), "--config", str(files / "c.cfg"), *COMPAT,
                 "--reports", str(files / "out"), *more])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert seen in err
    assert str(named) in err
    assert sorted(files.iterdir()) == before


BAD_TOPOLOGIES = [
    ("", "t.csv: no layers, rule a header and one or more lines"),
    ("h,\n", "t.csv: no layers"),
    ("a,8,8,3,3,1,1,1,\n", "t.csv:1: 'a,8,8,3,3,1,1,1,' is a layer, rule a header in the first"),
    ("h,\na,8,8,3,3,1,1,1\n", "t.csv:2: line ends in '1', rule"),
    ("h,\n,,,,,,,,\n", "t.csv:2: map height '', rule an integer"),
    ("h,\na,8,8,9,3,1,1,1,\n", "t.csv:2: kernel 9x3 on a map of 8x8, rule not larger"),
    ("h,\na,8,8,3,3,0,1,1,\n", "t.csv:2: channels '0', rule an integer from 1"),
    ("h,\na,8,8,3,3,1,1,-1,\n", "t.csv:2: stride '-1', rule an integer from 1"),
    ("h,\na,8,8,3,3,1,1,1,4:2,\n", "t.csv:2: sparsity '4:2', rule N:M with 1 <= N <= M"),
    ("h,\na,8,8,3,3,1,1,1,1:2:3,\n", "t.csv:2: sparsity '1:2:3', rule N:M"),
    ("h,\na,8,8,3,3,1,1,1,0:2,\n", "t.csv:2: sparsity '0:2', rule N:M"),
    ("h,\nDP,8,8,3,3,1000001,1,1,\n", "t.csv:2: layer 'DP': 1000001 channels with DP in the name"),
    ("h,\na,40000,40000,3,3,1,1,1,\n", "t.csv:2: layer 'a': 1599840004 windows of 9 elements"),
    ("name,kind,height\n", "t.csv:1: named columns, rule a layout that SCALE-Sim reads"),
]


@pytest.mark.parametrize(("text", "seen"), BAD_TOPOLOGIES)
def test_malformed_topologies_get_one_line(files, capsys, text, seen):
    (files / "t.csv").write_text(text)
    expect_refusal(files, capsys, seen, files / "t.csv")


@pytest.mark.parametrize(("kind", "plain", "odd"), [
    ("conv", "a,9,9,3,3,4,8,2,", "  a , 9,9 ,3, 3,\t4,08,2 , "),
    ("conv", "a,9,9,3,3,4,8,2,", "a,9,9,3,3,4,8,2,what a line ends in"),
    ("conv", "a,9,9,3,3,4,8,2,", "a,9,9,3,3,4,8,2,2:4"),
    ("conv", "a,9,9,3,3,4,8,2,", ",9,9,3,3,4,8,2,"),
    ("conv", "a,9,9,3,3,4,8,2,", "dp,9,9,3,3,4,8,2,"),
    ("gemm", "a,9,8,7,", "a,9,8,7,1:1"),
    ("gemm", "a,9,8,7,", "DP,9,8,7, 3:4 ,"),
])
@pytest.mark.parametrize(("before", "after"), [("", "\n"), ("\n \n", "\n\n"), ("", "")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_odd_lines_read_as_the_tool_reads_them(files, kind, plain, odd, before, after, end):
    """Both forms give the tool the same three reports, with sparsity off; a byte-order mark too."""
    texts = []
    for line in (f"h,\n{plain}\n", f"\ufeffh,\n{before}{odd}{after}"):
        (files / "t.csv").write_bytes(line.replace("\n", end).encode())
        done = simulate(files / "t.csv", files / "c.cfg", kind=kind)
        texts.append(done.reports())
    assert texts[0] == texts[1]


def test_bad_usage_gets_one_line(files, capsys):
    network, config = str(files / "t.csv"), str(files / "c.cfg")
    cases = [
        ([network, *COMPAT], "rule a SCALE-Sim configuration by --config"),
        ([network, *COMPAT, "--config", config, "--arch", "edge-16x16-os"], "rule no --arch"),
        ([network, *COMPAT, "--config", config, "--csv", "x.csv"], "rule no --csv"),
        ([network, *COMPAT, "--config", config, "--as", "twostep"], "rule no --as"),
        ([network, *COMPAT, "--config", config, "--roofline", "x.png"], "rule no --roofline"),
        ([network, "--config", config, "--reports", "out"], "--reports only with --compat"),
        ([network, "--config", config, "--arch", "edge-16x16-os"], "rule either --arch or"),
        ([network], "rule either --arch or --config"),
        ([str(files / "none.csv"), *COMPAT, "--config", config], "none.csv: No such file"),
        ([network, *COMPAT, "--config", str(files / "none.cfg")], "none.cfg: No such file"),
        ([network, *COMPAT, "--config", config, "--reports", network], "t.csv: File exists"),
    ]
    for arguments, seen in cases:
        assert main(["simulate", *arguments]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert seen in err


def test_reports_replace_old_ones_together_or_not_at_all(tmp_path):
    write_reports({"a.csv": "1", "b.csv": "2"}, tmp_path)
    with pytest.raises(UnicodeEncodeError):
        write_reports({"a.csv": "3", "b.csv": "\ud800"}, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.csv": "1", "b.csv": "2",
    }


@given(st.text(max_size=80))
def test_any_text_gives_a_configuration_or_a_value_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.cfg"
    path.write_text("[architecture_presets]\n" + text, encoding="utf-8", errors="replace")
    with pytest.raises(ValueError, match=r"fuzz\.cfg:"):
        read_config(path)


def test_networks_in_the_layout_of_the_tool_are_what_the_converter_writes():
    folder = ALEXNET.parent
    own_files = [path for path in sorted(folder.glob("*.csv")) if path != ALEXNET]
    assert len(own_files) == 9
    assert [p.name for p in own_files] == [p.name for p in sorted((folder / "scalesim").iterdir())]
    for path in own_files:
        workload, copy = read_topology(path), folder / "scalesim" / path.name
        assert copy.read_text() == to_topology(workload)
        assert read_topology(copy).macs == workload.macs


def test_what_the_layout_cannot_hold_is_refused(tmp_path):
    header = "name,kind,height,width,channels,filters,kernel,stride,dilation,batch\n"
    for cells in ("8,8,1,1,3,1,2,1", "8,8,1,1,3,1x2,1,1", "8,8,1,1,3,1,1,2"):
        (tmp_path / "n.csv").write_text(f"{header}a,conv,{cells}\n")
        with pytest.raises(ValueError, match=r"layer 'a': batch .* rule batch 1, no dilation"):
            to_topology(read_topology(tmp_path / "n.csv"))
    (tmp_path / "n.csv").write_text(f"{header}aDP,conv,8,8,1,1,3,1,1,1\n")
    with pytest.raises(ValueError, match="rule a name without 'DP'"):
        to_topology(read_topology(tmp_path / "n.csv"))
