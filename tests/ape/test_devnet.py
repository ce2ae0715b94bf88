"""The devnet is real: separate Aave markets with outside money, a pool to swap in, and a process that cleans up."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from web3 import Web3

from scripts.errors import AddressBookError, NotAnvilError, PortInUseError, TransactionFailedError
from scripts.protocols import aave
from scripts.protocols.anvil import Anvil, connect, free_port, port_is_free, rpc
from scripts.protocols.artifacts import ROOT, USDC_UNIT
from scripts.protocols.devnet import DEPOSITOR_USDC, DEPOSITORS, OUTSIDE_SUPPLY, Devnet, deploy_devnet, read_book

APE = Path(sys.executable).with_name("ape")


def test_markets__own_contracts_each(devnet: Devnet) -> None:
    for field in ("pool", "configurator", "addresses_provider", "oracle", "data_provider", "a_token"):
        assert len({getattr(market, field).address for market in devnet.markets.values()}) == len(devnet.markets) == 3
    for market in devnet.markets.values():
        assert market.addresses_provider.functions.getPool().call() == market.pool.address
        assert market.addresses_provider.functions.getPriceOracle().call() == market.oracle.address
        assert market.oracle.functions.getAssetPrice(devnet.weth.address).call() == aave.ETH_PRICE * aave.PRICE_UNIT


def test_markets__outside_supply_and_debt__pay_different_rates(devnet: Devnet) -> None:
    rates = {market.supply_rate() for market in devnet.markets.values()}
    assert len(rates) == 3
    assert min(rates) > 0
    for market in devnet.markets.values():
        supplied = market.a_token.functions.totalSupply().call()
        assert supplied >= OUTSIDE_SUPPLY * USDC_UNIT
        liquidity = devnet.usdc.functions.balanceOf(market.a_token.address).call()
        debt = market.variable_debt_token.functions.totalSupply().call()
        assert liquidity + debt == pytest.approx(supplied, rel=1e-6)


def test_market__interest_accrues__to_suppliers_at_the_rate_shown(devnet: Devnet) -> None:
    market = devnet.markets["aave-a"]
    who, rate = market.supplier.address, market.supply_rate()
    before = market.a_token.functions.balanceOf(who).call()
    rpc(devnet.w3, "evm_increaseTime", 365 * 86_400)
    rpc(devnet.w3, "evm_mine")
    assert market.a_token.functions.balanceOf(who).call() / before - 1 == pytest.approx(rate, rel=1e-5)


def test_market__borrower_without_collateral__refused(devnet: Devnet) -> None:
    market = devnet.markets["aave-a"]
    call = market.pool.functions.borrow(devnet.usdc.address, USDC_UNIT, aave.VARIABLE, 0, devnet.accounts["alice"])
    with pytest.raises(TransactionFailedError):
        devnet.chain.send(call, sender=devnet.sender("alice"))


def test_uniswap__swap__at_the_pools_price_less_fee(devnet: Devnet) -> None:
    alice, amount = devnet.sender("alice"), 2_000 * USDC_UNIT
    router = devnet.uniswap.router
    devnet.chain.send(devnet.usdc.functions.approve(router.address, amount), sender=alice)
    deadline = devnet.w3.eth.get_block("latest")["timestamp"] + 3_600
    order = (devnet.usdc.address, devnet.weth.address, 500, alice.address, deadline, amount, 0, 0)
    devnet.chain.send(router.functions.exactInputSingle(order), sender=alice)
    bought = devnet.weth.functions.balanceOf(alice.address).call() / 10**18
    assert bought == pytest.approx(2_000 / aave.ETH_PRICE * 0.9995, rel=1e-3)


def test_depositors__have_money(devnet: Devnet) -> None:
    for role in DEPOSITORS:
        assert devnet.usdc.functions.balanceOf(devnet.accounts[role]).call() == DEPOSITOR_USDC * USDC_UNIT


def test_address_book__written_and_read__same_devnet(devnet: Devnet, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "devnet.json"
    devnet.save(path)
    again = Devnet.from_book(devnet.w3, read_book(path))
    assert again.to_book() == devnet.to_book()
    assert again.markets["aave-b"].supply_rate() == devnet.markets["aave-b"].supply_rate()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"chain_id": 1}', "\x00"])
def test_address_book__not_one__says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "book.json"
    path.write_text(content)
    with pytest.raises(AddressBookError, match="ape run devnet"):
        read_book(path)


def test_address_book__of_another_or_restarted_chain__refused(devnet: Devnet) -> None:
    book = devnet.to_book()
    with pytest.raises(AddressBookError, match="chain 5"):
        Devnet.from_book(devnet.w3, {**book, "chain_id": 5})
    with Anvil() as anvil, pytest.raises(AddressBookError, match="restarted"):
        Devnet.from_book(connect(anvil.url), book)


def test_deploy__no_anvil_behind_the_url__refused() -> None:
    with pytest.raises(NotAnvilError, match="No node answers"):
        deploy_devnet(connect(f"http://127.0.0.1:{free_port()}"))


def test_anvil__port_taken__named_in_the_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"Port {port} is in use.*--port"):
            Anvil(port=port).start()


def test_anvil__chain_id_and_time__as_asked_and_stopped_after() -> None:
    with Anvil(chain_id=1234, timestamp=1_600_000_000) as anvil:
        w3, port, pid = connect(anvil.url), anvil.port, anvil.pid
        assert w3.eth.chain_id == 1234
        assert w3.eth.get_block(0)["timestamp"] == 1_600_000_000
    assert port is not None
    assert port_is_free(port)
    assert pid is not None
    assert not _runs(pid)


def test_command__busy_port__one_line_and_exit_1() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [APE, "run", "devnet", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_command__ended_by_signal__no_process_left(tmp_path: Path, end: signal.Signals) -> None:
    if end == signal.SIGKILL and not sys.platform.startswith("linux"):
        pytest.skip("only Linux ends a child whose parent was killed")
    book, port = tmp_path / "devnet.json", free_port()
    command = [APE, "run", "devnet", "--port", str(port), "--chain-id", "4321", "--out", str(book)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert any("Running" in line for line in process.stdout)
        w3 = connect(f"http://127.0.0.1:{port}")
        assert Devnet.from_book(w3, json.loads(book.read_text())).w3.eth.chain_id == 4321
        process.send_signal(end)
        code = process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0)
    _until(lambda: port_is_free(port))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.05)


def test_deploy__onto_a_running_anvil__returns(tmp_path: Path, w3: Web3) -> None:
    book = tmp_path / "devnet.json"
    with Anvil() as anvil:
        command = [APE, "run", "devnet", "--rpc", anvil.url, "--out", str(book)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert Devnet.from_book(connect(anvil.url), read_book(book)).markets.keys() == aave.CURVES.keys()
