// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @title Deploys a protocol's own bytecode from an artifact in `node_modules`
library Artifacts {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @param file JSON file under `node_modules/`.
    /// @param key Where the creation code is in it: ".bytecode" mostly.
    function code(string memory file, string memory key) internal view returns (string memory) {
        return VM.parseJsonString(VM.readFile(string.concat("node_modules/", file)), key);
    }

    /// @notice Deploys the artifact `file`, which needs no libraries.
    /// @param arguments The constructor's, encoded.
    function deploy(string memory file, bytes memory arguments) internal returns (address) {
        return create(VM.parseBytes(code(file, ".bytecode")), arguments);
    }

    function create(bytes memory creation, bytes memory arguments) internal returns (address deployed) {
        creation = bytes.concat(creation, arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(creation, 0x20), mload(creation))
        }
        require(deployed != address(0), "could not deploy an artifact");
    }
}
