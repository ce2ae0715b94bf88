"""The runtime size of the vault, against what a chain accepts (EIP-170)."""

import json

from tools.audit.part import Findings, Options, Say
from tools.audit.tools import ROOT, run


def size(options: Options, say: Say) -> Findings:
    """Compile the contracts as they are deployed and measure the vault.

    Raises
    ------
    ToolFailedError
        They do not compile.
    """
    say("compiling")
    run(["forge", "build", "contracts", "--silent"], env={"FOUNDRY_PROFILE": "deployed"})
    artifact = json.loads((ROOT / ".forge/deployed/out/Vault.sol/Vault.json").read_text(encoding="utf-8"))
    code = artifact["deployedBytecode"]["object"].removeprefix("0x")
    return Findings({"contract_size_bytes": len(code) // 2})
