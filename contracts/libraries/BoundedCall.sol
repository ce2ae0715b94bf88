// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Calls to contracts that are not trusted to answer
/// @notice A call that reverts, runs out of its gas, returns too little or goes to an address without code is reported as
/// not answered. The library never copies more of an answer than it reads. It reverts in one case: a call that failed when
/// there was less gas than its limit says nothing about the contract, so it is `NotEnoughGas` and not an answer.
library BoundedCall {
    uint256 private constant WORD = 32;

    error NotEnoughGas(uint256 available, uint256 needed);

    /// @notice Reverts unless there was enough gas before a call to give it `gasLimit`: EIP-150 keeps a 64th back.
    function requireGas(uint256 before, uint256 gasLimit) internal pure {
        uint256 available = before - before / 64;
        if (available < gasLimit) revert NotEnoughGas(available, gasLimit);
    }

    /// @notice The first word of the answer.
    function readUint(address target, uint256 gasLimit, bytes memory data)
        internal
        view
        returns (bool ok, uint256 value)
    {
        if (target.code.length == 0) return (false, 0);
        uint256 before = gasleft();
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, target, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
        if (!ok) requireGas(before, gasLimit);
    }

    /// @notice The first word of the answer to a call with one word for an argument; allocates no memory.
    function readUint(address target, uint256 gasLimit, bytes4 selector, uint256 argument)
        internal
        view
        returns (bool ok, uint256 value)
    {
        uint256 before = gasleft();
        // An address without code returns nothing, which is too little.
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, argument)
            ok := staticcall(gasLimit, target, 0x00, 0x24, 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
        if (!ok) requireGas(before, gasLimit);
    }

    /// @notice The first word of the answer of a call that may change state.
    function callUint(address target, uint256 gasLimit, bytes memory data) internal returns (bool ok, uint256 value) {
        if (target.code.length == 0) return (false, 0);
        uint256 before = gasleft();
        assembly ("memory-safe") {
            ok := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            if ok { value := mload(0x00) }
        }
        if (!ok) requireGas(before, gasLimit);
    }

    /// @notice Transfers tokens; also true for tokens that return nothing.
    function tryTransfer(address token, uint256 gasLimit, address to, uint256 amount) internal returns (bool ok) {
        if (token.code.length == 0) return false;
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        uint256 before = gasleft();
        assembly ("memory-safe") {
            mstore(0x00, 1)
            ok := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, eq(mload(0x00), 1))
        }
        if (!ok) requireGas(before, gasLimit);
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
        uint256 before = gasleft();
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, target, add(data, 0x20), mload(data), add(answer, 0x20), mload(answer))
            size := returndatasize()
            offset := mload(add(answer, 0x20))
            length := mload(add(answer, 0x40))
        }
        if (!ok) requireGas(before, gasLimit);
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
