// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

import {Artifacts} from "./Artifacts.sol";

/// @title Deploys Aave's own bytecode from the npm package `@aave/core-v3`
/// @dev Hardhat leaves `__$<first 34 hex digits of keccak256("path:Name")>$__` where a library's address belongs.
abstract contract AaveArtifacts {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    string private constant ROOT = "@aave/core-v3/artifacts/";

    string[] private _placeholders;
    string[] private _libraries;

    /// @param path Source file below `contracts/`, without `.sol`; its last part is the contract's name.
    function _deployAave(string memory path, string memory name, bytes memory arguments) internal returns (address) {
        string memory file = string.concat(ROOT, "contracts/", path, ".sol/", name, ".json");
        string memory code = Artifacts.code(file, ".bytecode");
        for (uint256 i; i < _placeholders.length; ++i) {
            code = VM.replace(code, _placeholders[i], _libraries[i]);
        }
        return Artifacts.create(VM.parseBytes(code), arguments);
    }

    function _deployAaveLibrary(string memory name) internal {
        string memory path = string.concat("protocol/libraries/logic/", name);
        address deployed = _deployAave(path, name, "");
        string memory qualified = string.concat("contracts/", path, ".sol:", name);
        string memory hash = VM.toString(keccak256(bytes(qualified)));
        _placeholders.push(string.concat("__$", _slice(hash, 2, 36), "$__"));
        _libraries.push(_slice(VM.toString(deployed), 2, 42));
    }

    function _slice(string memory text, uint256 from, uint256 to) private pure returns (string memory) {
        bytes memory cut = new bytes(to - from);
        for (uint256 i; i < cut.length; ++i) {
            cut[i] = bytes(text)[from + i];
        }
        return string(cut);
    }
}
