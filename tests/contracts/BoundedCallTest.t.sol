// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {BoundedCall} from "../../contracts/libraries/BoundedCall.sol";

/// @notice Answers with the bytes that it was given, whatever it is asked; or reverts, with the same bytes.
contract Answering {
    bytes private _answer;
    bool private _reverts;

    constructor(bytes memory answer, bool reverts) {
        (_answer, _reverts) = (answer, reverts);
    }

    fallback() external {
        bytes memory answer = _answer;
        bool reverts = _reverts;
        assembly ("memory-safe") {
            if reverts { revert(add(answer, 0x20), mload(answer)) }
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice Answers with what it was asked.
contract Echoing {
    fallback(bytes calldata question) external returns (bytes memory) {
        return question;
    }
}

/// @notice Burns all the gas it is given.
contract Burning {
    fallback() external {
        assembly ("memory-safe") { invalid() }
    }
}

contract BoundedCallTest is Test {
    using BoundedCall for address;

    uint256 private constant GAS = 200_000;
    bytes private constant QUESTION = "question";
    address private immutable NOBODY = makeAddr("nobody");

    /* TOO LITTLE GAS */

    function ask(uint256 which, address target) external returns (bool ok) {
        if (which == 0) (ok,) = target.readUint(GAS, QUESTION);
        if (which == 1) (ok,) = target.readUint(GAS, IERC20.balanceOf.selector, 1);
        if (which == 2) (ok,) = target.callUint(GAS, QUESTION);
        if (which == 3) ok = target.tryTransfer(GAS, NOBODY, 1);
        if (which == 4) (ok,) = target.readText(GAS, QUESTION, 32);
    }

    /// @dev A call that failed with less gas than it may have says nothing about whom it called; one that was answered does.
    function test_notEnoughGas(uint256 which, uint256 gas_) public {
        which %= 5;
        gas_ = bound(gas_, 60_000, GAS);
        address dead = address(new Answering(abi.encode(1), true));
        vm.expectPartialRevert(BoundedCall.NotEnoughGas.selector);
        this.ask{gas: gas_}(which, dead);
        assertFalse(this.ask{gas: GAS * 64 / 63 + 20_000}(which, dead));
        bytes memory answer = which == 4 ? abi.encode("text") : abi.encode(1);
        assertTrue(this.ask{gas: gas_}(which, address(new Answering(answer, false))));
    }

    /// @dev Where there is no code nothing would answer whatever the gas.
    function test_noCode_littleGasIsEnough(uint256 which, uint256 gas_) public {
        which = bound(which, 0, 3);
        assertFalse(this.ask{gas: bound(gas_, 60_000, GAS)}(which == 0 ? 0 : which + 1, NOBODY));
    }

    /// @dev EIP-150 keeps a 64th back.
    function test_requireGas(uint256 before, uint256 limit) public {
        before = bound(before, 0, 1e9);
        limit = bound(limit, 0, 1e9);
        uint256 available = before - before / 64;
        if (available < limit) {
            vm.expectRevert(abi.encodeWithSelector(BoundedCall.NotEnoughGas.selector, available, limit));
        }
        this.requireGas(before, limit);
    }

    /// @dev What could be given exactly is enough.
    function test_requireGas_exactly(uint256 before) public {
        before = bound(before, 64, 2 ** 64);
        uint256 available = before - before / 64;
        this.requireGas(before, available);
        vm.expectRevert(abi.encodeWithSelector(BoundedCall.NotEnoughGas.selector, available, available + 1));
        this.requireGas(before, available + 1);
    }

    function requireGas(uint256 before, uint256 limit) external pure {
        BoundedCall.requireGas(before, limit);
    }

    /* ONE WORD */

    function test_readUint_noAnswer() public {
        address[4] memory dead = [
            NOBODY,
            address(new Answering(abi.encode(7), true)),
            address(new Answering(new bytes(31), false)),
            address(new Burning())
        ];
        for (uint256 i; i < dead.length; ++i) {
            _assertNoUint(dead[i]);
        }
    }

    function _assertNoUint(address target) private {
        (bool ok, uint256 value) = target.readUint(GAS, QUESTION);
        assertFalse(ok);
        assertEq(value, 0);
        (ok, value) = target.readUint(GAS, IERC20.balanceOf.selector, 1);
        assertFalse(ok);
        assertEq(value, 0);
        (ok, value) = target.callUint(GAS, QUESTION);
        assertFalse(ok);
        assertEq(value, 0);
    }

    function test_readUint_firstWord(uint256 word, bytes memory rest) public {
        address target = address(new Answering(bytes.concat(bytes32(word), rest), false));
        (bool ok, uint256 value) = target.readUint(GAS + 500 * rest.length, QUESTION);
        assertTrue(ok);
        assertEq(value, word);
        (ok, value) = target.readUint(GAS + 500 * rest.length, IERC20.balanceOf.selector, 1);
        assertTrue(ok);
        assertEq(value, word);
        (ok, value) = target.callUint(GAS + 500 * rest.length, QUESTION);
        assertTrue(ok);
        assertEq(value, word);
    }

    /// @dev The question arrives as it was put.
    function test_readUint_question(bytes4 selector, uint256 argument, uint224 more) public {
        address target = address(new Echoing());
        (, uint256 first) = target.readUint(GAS, selector, argument);
        assertEq(first, uint256(bytes32(abi.encodePacked(selector, uint224(argument >> 32)))));
        (, first) = target.readUint(GAS, abi.encodePacked(selector, more));
        assertEq(first, uint256(bytes32(abi.encodePacked(selector, more))));
        (, first) = target.callUint(GAS, abi.encodePacked(selector, more));
        assertEq(first, uint256(bytes32(abi.encodePacked(selector, more))));
    }

    /// @dev The called contract spends its gas limit at most.
    function test_readUint_gas() public {
        address target = address(new Burning());
        uint256 gas = gasleft();
        target.readUint(GAS, QUESTION);
        target.readUint(GAS, IERC20.balanceOf.selector, 1);
        target.callUint(GAS, QUESTION);
        assertLt(gas - gasleft(), 4 * GAS);
    }

    /* TRANSFERS */

    function test_tryTransfer_refused() public {
        assertFalse(NOBODY.tryTransfer(GAS, address(this), 1), "no code");
        assertFalse(address(new Answering("", true)).tryTransfer(GAS, address(this), 1), "reverts");
        assertFalse(address(new Answering(abi.encode(false), false)).tryTransfer(GAS, address(this), 1), "says no");
        assertFalse(address(new Answering(abi.encode(2), false)).tryTransfer(GAS, address(this), 1), "says rubbish");
        assertFalse(address(new Burning()).tryTransfer(GAS, address(this), 1), "burns its gas");
    }

    function test_tryTransfer_done() public {
        assertTrue(address(new Answering("", false)).tryTransfer(GAS, address(this), 1), "says nothing");
        assertTrue(address(new Answering(abi.encode(true), false)).tryTransfer(GAS, address(this), 1), "says yes");
        address token = makeAddr("token");
        vm.mockCallRevert(token, "", "");
        vm.mockCall(token, abi.encodeCall(IERC20.transfer, (address(this), 7)), abi.encode(true));
        assertTrue(token.tryTransfer(GAS, address(this), 7), "to whom, and how much");
    }

    /* TEXT */

    function test_readText_noAnswer() public {
        bytes[7] memory answers = [
            bytes(""),
            new bytes(63),
            abi.encode(0x20), // stops before the length
            abi.encode(0x20, 1), // says that a byte follows, which does not
            abi.encode(0x40, 0, 0), // starts elsewhere
            abi.encode(0x20, type(uint256).max, 0),
            abi.encodePacked(uint256(0x20), uint256(33), bytes32("x")) // shorter than it says, by one
        ];
        for (uint256 i; i < answers.length; ++i) {
            _assertNoText(address(new Answering(answers[i], false)));
        }
        _assertNoText(NOBODY);
        _assertNoText(address(new Burning()));
        _assertNoText(address(new Answering(abi.encode("text"), true)));
    }

    function _assertNoText(address target) private view {
        (bool ok, string memory text) = target.readText(GAS, QUESTION, 8);
        assertFalse(ok);
        assertEq(text, "");
    }

    function test_readText(uint256 length) public {
        bytes memory text = bytes("a text of forty bytes, which is too long");
        length = bound(length, 0, 48);
        (bool ok, string memory got) = address(new Answering(abi.encode(text), false)).readText(GAS, QUESTION, length);
        assertTrue(ok);
        assertEq(got, string(_cut(text, length)));
        // No padding at the end, as some tokens answer.
        bytes memory packed = abi.encodePacked(uint256(0x20), text.length, text);
        (ok, got) = address(new Answering(packed, false)).readText(GAS, QUESTION, length);
        assertTrue(ok);
        assertEq(got, string(_cut(text, length)));
        (ok, got) = address(new Answering(abi.encode(""), false)).readText(GAS, QUESTION, length);
        assertTrue(ok);
        assertEq(got, "");
    }

    function _cut(bytes memory text, uint256 length) private pure returns (bytes memory cut) {
        cut = new bytes(length < text.length ? length : text.length);
        for (uint256 i; i < cut.length; ++i) {
            cut[i] = text[i];
        }
    }

    function test_readText_printable(uint8 letter) public {
        bytes memory text = abi.encodePacked("a", letter, "z");
        (, string memory got) = address(new Answering(abi.encode(text), false)).readText(GAS, QUESTION, 3);
        bool printable = letter >= 0x20 && letter <= 0x7e;
        assertEq(bytes(got), abi.encodePacked("a", printable ? letter : uint8(bytes1("?")), "z"));
    }

    function test_readText_bordersOfThePrintable() public {
        bytes memory text = hex"1f207e7f";
        (, string memory got) = address(new Answering(abi.encode(text), false)).readText(GAS, QUESTION, 4);
        assertEq(bytes(got), bytes("? ~?"));
    }
}
