// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title Calls to contracts that may be gone, hostile or broken, of which one word is expected
/// @notice Unlike `try`, these do not revert when the target has no code or returns too little, and they copy no more than
/// one word of what comes back. Nearly all gas is forwarded: who calls with too little sees a live strategy as dead, so no
/// caller may gain from a failed read.
library SafeCall {
    function tryRead(address target, bytes memory data) internal view returns (bool ok, uint256 word) {
        assembly ("memory-safe") {
            ok := staticcall(gas(), target, add(data, 32), mload(data), 0, 32)
            ok := and(ok, gt(returndatasize(), 31))
            if ok { word := mload(0) }
        }
    }

    function tryCall(address target, bytes memory data) internal returns (bool ok, uint256 word) {
        assembly ("memory-safe") {
            ok := call(gas(), target, 0, add(data, 32), mload(data), 0, 32)
            ok := and(ok, gt(returndatasize(), 31))
            if ok { word := mload(0) }
        }
    }
}
