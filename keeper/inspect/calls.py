"""Calls that governance has announced, in plain words."""

from typing import Any

from web3 import Web3
from web3.exceptions import Web3Exception

from agent.units import span
from agent.vault.limits import Limit
from keeper.inspect.authority import Operation
from keeper.inspect.state import VaultState
from keeper.inspect.words import caps
from scripts.deployment.contracts import access_manager, load_contract


def describe(state: VaultState, operation: Operation) -> str:
    """Return an announced call in plain words."""
    decoded = _decode(state, operation)
    if decoded is None:
        return f"call {operation.target} with 0x{operation.data.hex()}"
    name, args = decoded
    if operation.target == state.vault:
        return _vault_call(state, name, args)
    return _manager_call(state, name, args)


def _decode(state: VaultState, operation: Operation) -> tuple[str, dict[str, Any]] | None:
    if operation.target == state.vault:
        abi = load_contract("Vault").abi
    elif operation.target == state.authority.address:
        abi = access_manager().abi
    else:
        return None
    try:
        function, args = Web3().eth.contract(abi=list(abi)).decode_function_input(operation.data)
    except (Web3Exception, ValueError, OverflowError):
        return None
    return str(function.fn_name), dict(args)


def _vault_call(state: VaultState, name: str, args: dict[str, Any]) -> str:
    unit = (state.asset_decimals, state.asset_symbol)
    if name in ("loosen", "tighten"):
        try:
            limit = Limit(args["limit_"])
        except ValueError:
            return f"{name} a limit that does not exist"
        old, new = (limit.show(limit.from_chain(value)) for value in (state.limits.of(limit), args["value"]))
        return f"{name}: change {limit.words} from {old} to {new}"
    if name == "abdicate":
        return f"give up for ever the right to loosen {Limit(args['limit_']).words}"
    if name in ("loosenCaps", "addStrategy"):
        what = "add the strategy" if name == "addStrategy" else "change the caps of"
        most = caps(args["relativeCap"], args["absoluteCap"], *unit)
        return f"{what} {_strategy(state, args['strategy'])}: {most}"
    told = {
        "abdicateCaps": "give up for ever the right to loosen caps and to add strategies",
        "removeStrategy": f"remove the strategy {_strategy(state, args.get('strategy'))}",
        "writeOff": f"write off {_strategy(state, args.get('strategy'))}: its shares count for nothing then",
        "setKeeper": f"make {args.get('keeper', args.get('newKeeper'))} the keeper",
        "setFeeRecipient": f"let fees go to {args.get('newFeeRecipient')}",
        "resume": "resume after the halt, with the present share price as the new high-water mark",
    }
    if name == "commitPolicy":
        return f"commit the policy {Web3.to_hex(args['newPolicyHash'])}"
    return told.get(name) or f"call {name} with {args}"


def _manager_call(state: VaultState, name: str, args: dict[str, Any]) -> str:
    role = state.authority.name(args["roleId"]) if "roleId" in args else ""
    if name == "grantRole":
        how = f"a delay of {span(args['executionDelay'])}" if args["executionDelay"] else "NO DELAY"
        return f"give the role {role} to {args['account']}, with {how}"
    if name == "revokeRole":
        return f"take the role {role} away from {args['account']}"
    if name == "setTargetFunctionRole":
        names = ", ".join(f"0x{bytes(item).hex()}" for item in args["selectors"])
        return f"let {role} call {names} of {args['target']}"
    if name == "setTargetClosed":
        return f"{'close' if args['closed'] else 'open'} all restricted functions of {args['target']}"
    if name == "updateAuthority":
        return f"REPLACE the authority of {args['target']} by {args['newAuthority']}"
    return f"AccessManager.{name} with {args}"


def _strategy(state: VaultState, address: str | None) -> str:
    for entry in state.strategies:
        if entry.target == address:
            return f"{entry.name} ({address})"
    return str(address)
