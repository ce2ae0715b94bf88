// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "./IVaultTypes.sol";

/// @title The interface of the Bulkhead vault beyond ERC-4626
/// @notice Ratios are WAD (1e18 = 100 %), money is in base units of the asset, time is in seconds.
interface IVault is IVaultTypes, IERC4626 {
    /* KEEPER */

    function rebalance(Rebalance calldata request) external;

    /// @notice A sign of life without a trade; it resets the dead man's switch.
    function heartbeat() external;

    /// @notice Gives the keeper's role up: for a key that may be in other hands too.
    function resign() external;

    /* ANYONE */

    /// @notice Halts the vault when the share price is past the drawdown limit. Reverts `DrawdownWithinLimit` otherwise.
    function trip() external;

    /// @notice Withdraws from a strategy to idle, while the vault is halted or the keeper has been silent for too long: as much
    /// as is asked for and the strategy says it can pay. Reverts `ExitTooDear` where more than `UnwindLoss` of it would be
    /// lost: a smaller amount may pass.
    /// @param assets The value to unwind; the maximum of its type for all.
    /// @return received Assets received.
    function unwind(address strategy, uint256 assets) external returns (uint256 received);

    /* DEPOSITORS */

    /// @notice `deposit` that reverts unless at least `minShares` are minted.
    function deposit(uint256 assets, address receiver, uint256 minShares) external returns (uint256 shares);
    /// @notice `mint` that reverts unless at most `maxAssets` are paid.
    function mint(uint256 shares, address receiver, uint256 maxAssets) external returns (uint256 assets);
    /// @notice `withdraw` that reverts unless at most `maxShares` are burned. Where strategies cost more to leave than they
    /// say, the owner pays for it in shares; the plain `withdraw` passes such a strategy over. Works also while a strategy
    /// cannot be valued: that one is then forgone.
    function withdraw(uint256 assets, address receiver, address owner, uint256 maxShares)
        external
        returns (uint256 shares);
    /// @notice `redeem` that reverts unless at least `minAssets` are paid; otherwise as the `withdraw` with a bound. What
    /// leaving strategies costs beyond what they say is taken off what is paid.
    function redeem(uint256 shares, address receiver, address owner, uint256 minAssets)
        external
        returns (uint256 assets);
    /// @notice Hands out the pro-rata part of idle assets and of every strategy's shares. Needs no price, no liquidity, no live
    /// strategy and no working asset. What cannot be transferred is passed over, and forgone, unless `minimums` forbids it.
    /// @param minimums The least of each part: idle assets first, then the shares of each strategy. `SKIP` forgoes a part
    /// without trying. An empty list takes whatever comes.
    /// @return assets Idle assets paid.
    /// @return shares_ Shares handed out, one number per strategy; 0 for one that was passed over.
    function redeemInKind(uint256 shares, address receiver, address owner, uint256[] calldata minimums)
        external
        returns (uint256 assets, uint256[] memory shares_);

    /* GUARDIAN (restricted by the authority; can only tighten) */

    function tighten(Limit limit_, uint256 value) external;
    function tightenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Lowers the caps of a group; its members stay.
    function tightenGroup(uint256 index, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Halts the vault, for any reason. Only governance resumes.
    function halt() external;
    /// @notice Takes the keeper's role away from whoever has it.
    function cutKeeper() external;

    /* GOVERNANCE (restricted by the authority, after its delay) */

    function loosen(Limit limit_, uint256 value) external;
    function loosenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Sets the caps and the members of a group; a new one has the next free index.
    function setGroup(uint256 index, Group calldata group) external;
    /// @notice Renounces, for ever, the right to loosen a limit beyond its present value. What the guardian tightens after that
    /// can still be undone, up to this value.
    function abdicate(Limit limit_) external;
    /// @notice Renounces, for ever, the right to loosen caps beyond their present values, to change groups and to add
    /// strategies.
    function abdicateCaps() external;
    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Removes a strategy that holds nothing. The epoch grows, which voids requests in the old order.
    function removeStrategy(address strategy) external;
    /// @notice Strikes a strategy's shares off the books: from now on they are worth nothing to this vault.
    function writeOff(address strategy) external;
    function setKeeper(address keeper) external;
    function commitPolicy(bytes32 policyHash) external;
    function setFeeRecipient(address feeRecipient) external;
    /// @notice Sends tokens that are neither the asset nor a strategy's shares, such as rewards, to a receiver who turns them
    /// into the asset for the vault.
    function sweep(address token, address receiver) external;
    /// @notice Lets the bid grow at once to a sum that governance has announced, but not beyond NAV: after a gift, or after a
    /// valuation that was too low for a moment. Not where `MaxGrowthRate` was given up.
    function restate(uint256 bid) external;
    /// @notice Ends a halt, with the present share price as the new high-water mark.
    function resume() external;

    /* VIEWS */

    /// @notice Weight that means "leave this position as it is".
    function HOLD() external view returns (uint256);
    /// @notice Minimum in `redeemInKind` that means "do not try to hand this part out".
    function SKIP() external view returns (uint256);
    function keeper() external view returns (address);
    function policyHash() external view returns (bytes32);
    function feeRecipient() external view returns (address);
    function epoch() external view returns (uint256);
    function lastRebalance() external view returns (uint256);
    /// @notice Last rebalance or heartbeat.
    function lastSeen() external view returns (uint256);
    function halted() external view returns (bool);
    function limits() external view returns (Limits memory);
    function abdicated(Limit limit_) external view returns (bool);
    function capsAbdicated() external view returns (bool);
    function strategies() external view returns (Strategy[] memory);
    function groups() external view returns (Group[] memory);
    /// @notice Assets held by the vault itself.
    function idle() external view returns (uint256);
    /// @notice Share of NAV that rebalancing may lose now.
    function lossBudget() external view returns (uint256);
    /// @notice Share of NAV that rebalancing may move now.
    function turnoverBudget() external view returns (uint256);
    /// @notice What the vault is worth. Never reverts for a strategy's sake: look at `broken`.
    function valuation() external view returns (Valuation memory);
    /// @notice Bid per share, WAD, 1e18 at the start, rounded down; net of fees that are due. Reverts while there is none.
    function sharePrice() external view returns (uint256);
    /// @notice The high-water mark of the share price as it would be recorded now (WAD).
    function highWaterMark() external view returns (uint256);
    /// @notice Share price under which anyone may trip the vault (WAD).
    function drawdownFloor() external view returns (uint256);
    /// @notice Whether every strategy can be valued. Until then there is no price: deposits, rebalances, `trip` and
    /// exits without a bound wait.
    function valued() external view returns (bool);
}
