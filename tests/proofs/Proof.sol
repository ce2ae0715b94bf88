// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @notice Base of the proofs. halmos proves a `check_` function for every value of its arguments: a path on which an `assert`
/// fails is a counterexample. `require` and `vm.assume` narrow what is claimed, so each stands beside its reason.
abstract contract Proof {
    uint256 internal constant WAD = 1e18;
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
}
