"""ABIs, RPC, fees, delivery and keystores, each by itself."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain import abi
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.chain.signer import open_keystore
from keeper.chain.signer import write_keystore as make_keystore
from keeper.chain.transaction import GWEI, TIP_GROWTH, Delivery, FeeRules, Fees, Market, deliver
from keeper.errors import (
    FeeTooHighError,
    KeystoreError,
    ReorgError,
    RpcRejectedError,
    RpcUnavailableError,
    TransactionRefusedError,
    WrongChainError,
)
from tests.keeper.harness import KEEPER, PASSWORD, ROOT, read_artifacts, write_keystore, write_secret

# --- ABIs --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_files__are_what_the_compiler_says() -> None:
    read_artifacts()  # builds where nothing was built yet
    for name, text in abi.compiled(ROOT):
        assert (abi.FOLDER / name).read_text() == text, (
            f"{name}: run: forge build && python -m keeper.chain.abi --write"
        )


def test_revert__is_named_with_its_arguments() -> None:
    data = keccak(text="WrongEpoch(uint256,uint256)")[:4]
    revert = abi.decode_revert(data + (3).to_bytes(32, "big") + (4).to_bytes(32, "big"))
    assert str(revert) == "WrongEpoch(given=3, expected=4)"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", "EmptyRevert()"),
        (bytes.fromhex("deadbeef"), "UnknownError(data=0xdeadbeef)"),
        (bytes.fromhex("4e487b71") + (17).to_bytes(32, "big"), "Panic(code=17)"),
        (bytes.fromhex("08c379a0") + bytes(3), "UnknownError(data=0x08c379a0000000)"),
    ],
)
def test_revert__of_any_kind__is_shown(data: bytes, shown: str) -> None:
    assert str(abi.decode_revert(data)) == shown


# --- RPC ---------------------------------------------------------------------------------------------------------


class FakeNode:
    """Answers each method with what a test says, and counts the questions."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.asked.append(question["method"])
                answer = node.answers.get(question["method"], 500)
                if isinstance(answer, list):
                    answer = answer.pop(0)
                code = answer if isinstance(answer, int) else 200
                body = answer if isinstance(answer, str) else json.dumps({"jsonrpc": "2.0", "id": 1, **_dict(answer)})
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def _dict(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


@pytest.fixture
def node() -> Iterator[FakeNode]:
    fake = FakeNode()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.mark.parametrize("said", ["out of gas", "EVM error OutOfGas", "gas required exceeds allowance (16777216)"])
def test_call__that_needs_more_gas_than_given__is_a_revert(node: FakeNode, said: str) -> None:
    node.answers["eth_estimateGas"] = {"error": {"code": -32000, "message": said}}
    with pytest.raises(CallRevertedError, match="OutOfGas"):
        Rpc(node.url).estimate_gas(KEEPER.address, b"", KEEPER.address, 2**24)


def test_read__is_tried_again(node: FakeNode) -> None:
    node.answers["eth_chainId"] = [500, "not json", {"result": "0x1"}]
    Rpc(node.url).check_chain(1)
    assert len(node.asked) == 3


def test_read__gives_up_with_a_clear_message(node: FakeNode) -> None:
    with pytest.raises(RpcUnavailableError, match=r"the node does not answer \(HTTP 500\)"):
        Rpc(node.url, shown_as="the node").check_chain(1)
    assert len(node.asked) == 3


@pytest.mark.parametrize("answer", [{"result": None}, {"result": "zz"}, {"result": []}, {}])
def test_read__nonsense__is_no_answer(node: FakeNode, answer: dict[str, Any]) -> None:
    node.answers["eth_chainId"] = node.answers["eth_feeHistory"] = answer
    for read in (lambda rpc: rpc.check_chain(1), lambda rpc: rpc.fee_history()):
        with pytest.raises(RpcUnavailableError):
            read(Rpc(node.url))


def test_send__is_never_tried_again(node: FakeNode) -> None:
    with pytest.raises(RpcUnavailableError):
        Rpc(node.url).send_raw(b"\x02")
    assert node.asked == ["eth_sendRawTransaction"]


class Forgetful(BaseHTTPRequestHandler):
    """Keeps every connection, and hangs up on the second question that comes over it."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked += 1
        if self.asked > 1:
            self.close_connection = True
            return
        text = b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: Any) -> None:
        pass


def test_send__has_a_connection_of_its_own__a_kept_one_may_be_closed() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        rpc = Rpc(f"http://127.0.0.1:{server.server_port}")
        for _ in range(2):
            assert rpc.balance(KEEPER.address) == 1  # the second is asked again over a new connection
            assert rpc.send_raw(b"\x02") == "0x1"
    finally:
        server.shutdown()
        server.server_close()


def test_rejection__is_not_tried_again(node: FakeNode) -> None:
    node.answers["eth_chainId"] = {"error": {"code": -32601, "message": "no such method"}}
    with pytest.raises(RpcRejectedError, match="no such method"):
        Rpc(node.url).check_chain(1)
    assert len(node.asked) == 1


def test_check_chain__another_chain__is_refused(node: FakeNode) -> None:
    node.answers["eth_chainId"] = {"result": "0x5"}
    with pytest.raises(WrongChainError, match="chain 5"):
        Rpc(node.url).check_chain(1)


def header(number: int, hash_: str) -> dict[str, Any]:
    fields = {"parentHash": "0x00", "timestamp": "0x1", "gasLimit": "0x1", "gasUsed": "0x1", "baseFeePerGas": "0x1"}
    return {"result": {"number": hex(number), "hash": hash_, **fields}}


def test_pinned_call__on_a_node_without_block_hashes__goes_by_number(node: FakeNode) -> None:
    node.answers["eth_getBlockByNumber"] = header(7, "0xaa")
    node.answers["eth_call"] = [{"error": {"code": -32602, "message": "invalid argument"}}, {"result": "0x01"}]
    rpc = Rpc(node.url)
    assert rpc.call("0x00", b"", rpc.block("latest")) == b"\x01"


def test_pinned_call__to_a_block_that_is_gone__is_a_reorg(node: FakeNode) -> None:
    node.answers["eth_getBlockByNumber"] = [header(7, "0xaa"), header(7, "0xbb")]
    node.answers["eth_call"] = {"error": {"code": -32000, "message": "header not found"}}
    rpc = Rpc(node.url)
    with pytest.raises(ReorgError, match="replaced"):
        rpc.call("0x00", b"", rpc.block("latest"))


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0xdeadbeef"}, "UnknownError(data=0xdeadbeef)"),
        ({"code": -32000, "message": "execution reverted"}, "EmptyRevert()"),
        ({"code": -32015, "message": "VM", "data": {"data": "0xdeadbeef"}}, "UnknownError(data=0xdeadbeef)"),
    ],
)
def test_call__that_reverts__however_the_node_says_it(node: FakeNode, error: dict[str, Any], shown: str) -> None:
    node.answers["eth_call"] = {"error": error}
    with pytest.raises(CallRevertedError) as caught:
        Rpc(node.url).call("0x00", b"")
    assert str(caught.value) == shown


# --- fees and delivery -------------------------------------------------------------------------------------------


def fee_history(base_fee: int, *tips: int) -> dict[str, Any]:
    return {"result": {"baseFeePerGas": ["0x1", hex(base_fee)], "reward": [[hex(tip)] for tip in tips]}}


def test_fees__median_tip_and_room_for_the_base_fee(node: FakeNode) -> None:
    node.answers["eth_feeHistory"] = fee_history(10 * GWEI, GWEI, 2 * GWEI, 90 * GWEI)
    market = FeeRules(GWEI).market(Rpc(node.url))
    assert market == Market(10 * GWEI, 2 * GWEI)
    assert FeeRules(100 * GWEI).fresh(market) == Fees(22 * GWEI, 2 * GWEI)
    assert FeeRules(15 * GWEI, 25.0).fresh(market) == Fees(12 * GWEI, 2 * GWEI)  # a replacement stays under the ceiling
    with pytest.raises(FeeTooHighError, match=r"12\.00 gwei now, more than 11\.2: max_fee_gwei = 14"):
        FeeRules(14 * GWEI, 25.0).fresh(market)


@given(
    max_fee=st.integers(1, 10**15),
    tip=st.integers(1, 10**15),
    market=st.builds(Market, st.integers(1, 10**15), st.integers(1, 10**15)),
    percent=st.floats(12.5, 200),
    last=st.booleans(),
)
def test_replacement__exceeds_both_fees_by_the_rule_or_is_refused(
    max_fee: int, tip: int, market: Market, percent: float, last: bool
) -> None:
    try:
        fees = FeeRules(10**18, percent).replacement(Fees(max_fee, tip), market, last=last)
    except FeeTooHighError:
        assert not last
        assert (1 + percent / 100) * tip + 1 > TIP_GROWTH * market.tip
        return
    assert market.takes(fees)
    assert fees.max_fee >= fees.tip
    for new, old in ((fees.max_fee, max_fee), (fees.tip, tip)):
        assert 1000 * new >= 1125 * old
        assert new > old


def test_replacement__over_what_a_trade_may_offer__is_the_no_ops_alone() -> None:
    rules, pending, market = FeeRules(10 * GWEI, 25.0), Fees(8 * GWEI, GWEI), Market(GWEI, GWEI)
    with pytest.raises(FeeTooHighError, match=r"takes 10\.00 gwei, more than 8 .*It stays as it is"):
        rules.replacement(pending, market)
    assert rules.replacement(pending, market, last=True) == Fees(10 * GWEI, 5 * GWEI // 4)
    with pytest.raises(FeeTooHighError, match="It stays as it is"):
        rules.replacement(Fees(8 * GWEI + 1, GWEI), market, last=True)


def test_replacement__tip_beyond_the_markets__is_the_no_ops_alone() -> None:
    rules, pending, market = FeeRules(100 * GWEI), Fees(20 * GWEI, 4 * GWEI), Market(GWEI, GWEI)
    with pytest.raises(FeeTooHighError, match=r"a tip of 4\.60 gwei, more than 4 times"):
        rules.replacement(pending, market)
    assert rules.replacement(pending, market, last=True).tip == pytest.approx(4.6 * GWEI)


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("already known", Delivery.ACCEPTED),
        ("transaction already imported", Delivery.ACCEPTED),
        ("nonce too low: next nonce 5, tx nonce 4", Delivery.NONCE_USED),
        ("replacement transaction underpriced", Delivery.OUTBID),
        ("max fee per gas less than block base fee: address 0x, maxFeePerGas: 1", Delivery.OUTBID),
        ("FeeTooLow, MaxFeePerGas too low", Delivery.OUTBID),
    ],
)
def test_deliver__knows_what_nodes_say(node: FakeNode, message: str, outcome: Delivery) -> None:
    node.answers["eth_sendRawTransaction"] = {"error": {"code": -32000, "message": message}}
    assert deliver(Rpc(node.url), b"\x02") is outcome


def test_deliver__refused__says_so(node: FakeNode) -> None:
    node.answers["eth_sendRawTransaction"] = {"error": {"code": -32000, "message": "insufficient funds"}}
    with pytest.raises(TransactionRefusedError, match="insufficient funds"):
        deliver(Rpc(node.url), b"\x02")


# --- keystores ---------------------------------------------------------------------------------------------------


def test_keystore__written_and_opened(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "k.json"
    address = make_keystore(path, PASSWORD, KEEPER.key.hex())
    assert address == KEEPER.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEEPER.key.hex() not in path.read_text()
    signer = open_keystore(path, PASSWORD)
    assert signer.address == KEEPER.address
    assert KEEPER.key.hex() not in repr(signer) + str(vars(signer))


def test_keystore__is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("precious")
    with pytest.raises(KeystoreError, match="never overwritten"):
        make_keystore(tmp_path / "k.json", PASSWORD)
    assert (tmp_path / "k.json").read_text() == "precious"


@pytest.mark.parametrize("key", ["", "0x12", "zz" * 32, "00" * 32])
def test_keystore__bad_key__is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(KeystoreError, match="not a private key") as caught:
        make_keystore(tmp_path / "k.json", PASSWORD, key)
    assert not key or key not in str(caught.value)


def test_keystore__empty_password__is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="empty password"):
        make_keystore(tmp_path / "k.json", "")
    write_keystore(tmp_path / "k.json", KEEPER.key)
    with pytest.raises(KeystoreError, match="is empty"):
        open_keystore(tmp_path / "k.json", "")


def test_keystore__what_can_be_wrong__is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    with pytest.raises(KeystoreError, match="not configured"):
        open_keystore(None, PASSWORD)
    with pytest.raises(KeystoreError, match="no such keystore"):
        open_keystore(path, PASSWORD)
    for content in ("", "[]", "{}", '{"version": 3, "crypto": 1}'):
        write_secret(path, content)
        with pytest.raises(KeystoreError, match="not a"):
            open_keystore(path, PASSWORD)
    write_keystore(path, KEEPER.key)
    with pytest.raises(KeystoreError, match="Wrong password"):
        open_keystore(path, "wrong")
    path.write_text(json.dumps({**json.loads(path.read_text()), "address": "00" * 20}))
    with pytest.raises(KeystoreError, match="Do not use it"):
        open_keystore(path, PASSWORD)


def test_signed_transaction__is_ours(tmp_path: Path) -> None:
    write_keystore(tmp_path / "k.json", KEEPER.key)
    transaction = {
        "type": 2,
        "chainId": 1,
        "to": KEEPER.address,
        "data": b"",
        "value": 0,
        "nonce": 0,
        "gas": 21000,
        "maxFeePerGas": 2,
        "maxPriorityFeePerGas": 1,
    }
    raw, hash_ = open_keystore(tmp_path / "k.json", PASSWORD).sign(transaction)
    assert Account.recover_transaction(raw) == KEEPER.address
    assert len(hash_) == 66
