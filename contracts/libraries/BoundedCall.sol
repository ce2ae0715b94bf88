// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Calls to contracts that are not trusted to answer
/// @notice A call that reverts, runs out of its gas, returns too little or goes to an address without code is reported as
/// not answered. The library itself never reverts, and never copies more of an answer than it reads.
/// A caller with too little gas sees a live contract as dead: nobody may gain from a call that was not answered.
library BoundedCall {
    uint256 private constant WORD = 32;

    /// @notice The first word of the answer.
    function readUint(address target, uint256 gasLimit, bytes memory data)
        internal
        view
        returns (bool ok, uint256 value)
    {
        if (target.code.length == 0) return (false, 0);
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, target, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
    }

    /// @notice The first word of the answer to a call with one word for an argument; allocates no memory.
    function readUint(address target, uint256 gasLimit, bytes4 selector, uint256 argument)
        internal
        view
        returns (bool ok, uint256 value)
    {
        // An address without code returns nothing, which is too little.
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, argument)
            ok := staticcall(gasLimit, target, 0x00, 0x24, 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
    }

    /// @notice The first word of the answer of a call that may change state.
    function callUint(address target, uint256 gasLimit, bytes memory data) internal returns (bool ok, uint256 value) {
        if (target.code.length == 0) return (false, 0);
        assembly ("memory-safe") {
            ok := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
    }

    /// @notice Transfers tokens; also true for tokens that return nothing.
    function tryTransfer(address token, uint256 gasLimit, address to, uint256 amount) internal returns (bool ok) {
        if (token.code.length == 0) return false;
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        assembly ("memory-safe") {
            mstore(0x00, 1)
            ok := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, eq(mload(0x00), 1))
        }
    }

    /// @notice An answer that is one ABI-encoded string, cut after `maxLength` bytes. Anything but printable ASCII becomes
    /// `?`, so that no reader off chain can choke on it.
    function readText(address target, uint256 gasLimit, bytes memory data, uint256 maxLength)
        internal
        view
        returns (bool ok, string memory text)
    {
        if (target.code.length == 0) return (false, "");
        bytes memory answer = new bytes(2 * WORD + maxLength);
        uint256 size;
        uint256 offset;
        uint256 length;
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, target, add(data, 0x20), mload(data), add(answer, 0x20), mload(answer))
            size := returndatasize()
            offset := mload(add(answer, 0x20))
            length := mload(add(answer, 0x40))
        }
        if (!ok || size < 2 * WORD || offset != WORD || length > size - 2 * WORD) return (false, "");

        if (length > maxLength) length = maxLength;
        text = new string(length);
        assembly ("memory-safe") {
            mcopy(add(text, 0x20), add(answer, 0x60), length)
        }
        for (uint256 i; i < length; ++i) {
            if (uint8(bytes(text)[i]) < 0x20 || uint8(bytes(text)[i]) > 0x7e) bytes(text)[i] = "?";
        }
    }
}
