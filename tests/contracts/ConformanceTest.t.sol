// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {PlainStrategy} from "./mocks/PlainStrategy.sol";
import {Token} from "./mocks/Token.sol";
import {VaultHarness} from "./utils/VaultHarness.sol";

/// @notice EIP-4626, sentence by sentence, on the vault as it is deployed and from outside: it knows of the vault only what
/// the standard says, and takes the `max` functions at their word. Nothing that they allow may revert.
abstract contract ConformanceTest is Test {
    /// @dev The state before a test: deposits and holdings of four users, and gains or losses since.
    struct Start {
        uint96[4] deposited;
        uint96[4] held;
        int96 earned;
    }

    address internal immutable CALLER = makeAddr("caller");
    address internal immutable RECEIVER = makeAddr("receiver");
    address internal immutable OWNER = makeAddr("owner");
    address internal immutable OTHER = makeAddr("other");
    address internal immutable KEEPER = makeAddr("keeper");
    uint8 internal immutable DECIMALS;
    bool internal immutable INVESTED;
    bool internal immutable HALTED;

    Token internal asset;
    VaultHarness internal vault;
    MockStrategy internal illiquid;
    PlainStrategy internal changed;

    constructor(uint8 decimals, bool invested, bool halted) {
        (DECIMALS, INVESTED, HALTED) = (decimals, invested, halted);
    }

    function setUp() public {
        vm.warp(1_750_000_000);
        asset = new Token(DECIMALS);
        AccessManager authority = new AccessManager(address(this));
        IVaultTypes.Limits memory limits = IVaultTypes.Limits({
            idleFloor: 0.02e18,
            maxDrawdown: 0.5e18,
            maxGrowthRate: 0.25e18,
            cooldown: 0,
            maxSilence: 7 days,
            lossCapacity: 0.005e18,
            lossRefill: uint64(0.005e18) / 7 days,
            turnoverCapacity: 2e18,
            turnoverRefill: uint64(1e18) / 1 days,
            performanceFee: 0,
            unwindLoss: 0.01e18,
            depositCap: type(uint128).max
        });
        vault = new VaultHarness(IERC20(address(asset)), "Vault", "VLT", address(authority), KEEPER, limits);
        if (!INVESTED) return;
        (changed, illiquid) = (new PlainStrategy(asset), new MockStrategy(asset));
        vault.addStrategy(address(changed), 0.6e18, type(uint128).max);
        vault.addStrategy(address(illiquid), 0.6e18, type(uint128).max);
    }

    modifier from(Start memory start) {
        address[4] memory users = [CALLER, RECEIVER, OWNER, OTHER];
        for (uint256 i; i < 4; ++i) {
            asset.mint(users[i], start.deposited[i]);
            vm.startPrank(users[i]);
            asset.approve(address(vault), start.deposited[i]);
            vault.deposit(start.deposited[i], users[i]);
            vm.stopPrank();
            asset.mint(users[i], start.held[i]);
        }
        vault.endTransaction();
        if (INVESTED) _invest();
        _earn(start.earned);
        if (INVESTED) illiquid.setLiquidity(uint256(start.held[0]) / 4);
        if (HALTED) vault.halt();
        _;
    }

    function _invest() private {
        uint256[] memory weights = new uint256[](2);
        (weights[0], weights[1]) = (0.4e18, 0.3e18);
        vm.prank(KEEPER);
        vault.rebalance(IVaultTypes.Rebalance(0, block.timestamp, 0, weights, bytes32(0), bytes32(0)));
    }

    /// @dev In a strategy where there is one: a gain of any size, or a loss that does not pass the drawdown floor.
    function _earn(int256 earned) private {
        address where = INVESTED ? address(changed) : address(vault);
        if (earned >= 0) asset.mint(where, uint256(earned));
        else asset.burn(where, bound(uint256(-earned), 0, asset.balanceOf(where) * (INVESTED ? 100 : 40) / 100));
    }

    /* TOTALS, CONVERSIONS AND PREVIEWS: TRUE FOR EVERYBODY, WHATEVER THE LIMITS */

    function test_asset() public view {
        assertEq(vault.asset(), address(asset));
        assertGe(vault.decimals(), DECIMALS);
    }

    /// @dev Losses are in it at once; gains in a strategy by and by, those of the vault's own balance too: whoever makes a gift
    /// out of nothing must not be able to take it out again.
    function test_totalAssets(Start memory start) public from(start) {
        uint256 deposited = vault.totalSupply() / 1e6;
        uint256 held = asset.balanceOf(address(vault));
        uint256 rounding;
        if (INVESTED) {
            held += asset.balanceOf(address(changed)) + asset.balanceOf(address(illiquid));
            rounding = changed.convertToAssets(1) + 3; // the virtual share of a strategy, and a unit for each
        }
        assertLe(vault.totalAssets(), held);
        assertGe(vault.totalAssets() + rounding, _least(held, deposited), "no less than was paid, if nothing is lost");
        vm.warp(block.timestamp + 365 days);
        assertLe(vault.totalAssets(), held);
        assertGe(vault.totalAssets() + rounding, _least(held, deposited * 11 / 10), "what is earned comes in");
    }

    function test_convert(Start memory start, uint128 amount) public from(start) {
        uint256 shares = vault.convertToShares(amount);
        uint256 assets = vault.convertToAssets(amount);
        assertLe(vault.convertToAssets(shares), amount);
        assertLe(vault.convertToShares(assets), amount);
        vm.startPrank(OTHER);
        assertEq(vault.convertToShares(amount), shares);
        assertEq(vault.convertToAssets(amount), assets);
    }

    function test_preview(Start memory start, uint128 amount) public from(start) {
        uint256[4] memory previews = _previews(amount);
        assertLe(previews[0], vault.convertToShares(amount), "deposit");
        assertGe(previews[1], vault.convertToAssets(amount), "mint");
        assertGe(previews[2], vault.convertToShares(amount), "withdraw");
        assertLe(previews[3], vault.convertToAssets(amount), "redeem");
        vm.startPrank(OTHER);
        assertEq(abi.encode(_previews(amount)), abi.encode(previews));
    }

    function _previews(uint256 amount) private view returns (uint256[4] memory) {
        return [
            vault.previewDeposit(amount),
            vault.previewMint(amount),
            vault.previewWithdraw(amount),
            vault.previewRedeem(amount)
        ];
    }

    /* THE FOUR OPERATIONS: AS PREVIEWED OR BETTER, AND NOTHING ELSE MOVES */

    function test_deposit(Start memory start, uint256 assets, uint256 allowance) public from(start) {
        assets = bound(assets, 0, _least(vault.maxDeposit(RECEIVER), asset.balanceOf(CALLER)));
        allowance = _approve(IERC20(address(asset)), CALLER, address(vault), assets, allowance);
        uint256 preview = vault.previewDeposit(assets);
        uint256[3] memory was = [asset.balanceOf(CALLER), vault.balanceOf(RECEIVER), vault.totalSupply()];
        vm.expectEmit(address(vault));
        emit IERC4626.Deposit(CALLER, RECEIVER, assets, preview);
        vm.prank(CALLER);
        uint256 shares = vault.deposit(assets, RECEIVER);
        assertGe(shares, preview);
        assertEq(asset.balanceOf(CALLER), was[0] - assets);
        assertEq(vault.balanceOf(RECEIVER), was[1] + shares);
        assertEq(vault.totalSupply(), was[2] + shares);
        _assertSpent(IERC20(address(asset)), CALLER, address(vault), allowance, assets);
    }

    function test_mint(Start memory start, uint256 shares, uint256 allowance) public from(start) {
        shares = bound(shares, 0, _least(vault.maxMint(RECEIVER), vault.previewDeposit(asset.balanceOf(CALLER))));
        uint256 preview = vault.previewMint(shares);
        allowance = _approve(IERC20(address(asset)), CALLER, address(vault), preview, allowance);
        uint256[3] memory was = [asset.balanceOf(CALLER), vault.balanceOf(RECEIVER), vault.totalSupply()];
        vm.expectEmit(address(vault));
        emit IERC4626.Deposit(CALLER, RECEIVER, preview, shares);
        vm.prank(CALLER);
        uint256 assets = vault.mint(shares, RECEIVER);
        assertLe(assets, preview);
        assertEq(asset.balanceOf(CALLER), was[0] - assets);
        assertEq(vault.balanceOf(RECEIVER), was[1] + shares);
        assertEq(vault.totalSupply(), was[2] + shares);
        _assertSpent(IERC20(address(asset)), CALLER, address(vault), allowance, assets);
    }

    function test_withdraw(Start memory start, uint256 assets, uint256 allowance) public from(start) {
        assets = bound(assets, 0, vault.maxWithdraw(OWNER));
        uint256 preview = vault.previewWithdraw(assets);
        allowance = _approve(IERC20(address(vault)), OWNER, CALLER, preview, allowance);
        uint256[3] memory was = [asset.balanceOf(RECEIVER), vault.balanceOf(OWNER), vault.totalSupply()];
        vm.expectEmit(address(vault));
        emit IERC4626.Withdraw(CALLER, RECEIVER, OWNER, assets, preview);
        vm.prank(CALLER);
        uint256 shares = vault.withdraw(assets, RECEIVER, OWNER);
        assertLe(shares, preview);
        assertEq(asset.balanceOf(RECEIVER), was[0] + assets);
        assertEq(vault.balanceOf(OWNER), was[1] - shares);
        assertEq(vault.totalSupply(), was[2] - shares);
        _assertSpent(IERC20(address(vault)), OWNER, CALLER, allowance, shares);
    }

    function test_redeem(Start memory start, uint256 shares, uint256 allowance) public from(start) {
        shares = bound(shares, 0, vault.maxRedeem(OWNER));
        uint256 preview = vault.previewRedeem(shares);
        allowance = _approve(IERC20(address(vault)), OWNER, CALLER, shares, allowance);
        uint256[3] memory was = [asset.balanceOf(RECEIVER), vault.balanceOf(OWNER), vault.totalSupply()];
        vm.expectEmit(address(vault));
        emit IERC4626.Withdraw(CALLER, RECEIVER, OWNER, preview, shares);
        vm.prank(CALLER);
        uint256 assets = vault.redeem(shares, RECEIVER, OWNER);
        assertGe(assets, preview);
        assertEq(asset.balanceOf(RECEIVER), was[0] + assets);
        assertEq(vault.balanceOf(OWNER), was[1] - shares);
        assertEq(vault.totalSupply(), was[2] - shares);
        _assertSpent(IERC20(address(vault)), OWNER, CALLER, allowance, shares);
    }

    /* OTHER PEOPLE'S SHARES */

    function test_withdraw_notWithoutAllowance(Start memory start, uint256 assets) public from(start) {
        if (vault.maxWithdraw(OWNER) == 0) return;
        assets = bound(assets, 1, vault.maxWithdraw(OWNER));
        _refuseTooLittleAllowance(
            abi.encodeCall(IERC4626.withdraw, (assets, CALLER, OWNER)), vault.previewWithdraw(assets)
        );
    }

    function test_redeem_notWithoutAllowance(Start memory start, uint256 shares) public from(start) {
        if (vault.maxRedeem(OWNER) == 0) return;
        shares = bound(shares, 1, vault.maxRedeem(OWNER));
        _refuseTooLittleAllowance(abi.encodeCall(IERC4626.redeem, (shares, CALLER, OWNER)), shares);
    }

    /// @dev Neither with an allowance that is a share short, nor with any of the asset's.
    function _refuseTooLittleAllowance(bytes memory data, uint256 needed) private {
        vm.startPrank(OWNER);
        vault.approve(CALLER, needed - 1);
        asset.approve(CALLER, type(uint256).max);
        vm.startPrank(CALLER);
        (bool ok, bytes memory error) = address(vault).call(data);
        assertFalse(ok);
        assertEq(
            error, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, CALLER, needed - 1, needed)
        );
    }

    /* MAX FUNCTIONS, AT THEIR WORD */

    /// @dev The room under the bound on shares may be a base unit short of one more, and rounding gives it away.
    function _beyond() private view returns (uint256) {
        return 2 + vault.convertToAssets(1);
    }

    /// @dev Closed when halted; open when nothing was earned. A large gain may close deposits until it is believed.
    function _assertOpen(Start memory start, uint256 most) private view {
        if (HALTED) assertEq(most, 0);
        else if (start.earned <= 0) assertGt(most, 0);
    }

    function test_maxDeposit(Start memory start) public from(start) {
        uint256 most = vault.maxDeposit(RECEIVER);
        _assertOpen(start, most);
        _pay(most);
        vault.deposit(most, RECEIVER);
        _assertAllAnswers();
        uint256 more = _beyond();
        vm.expectRevert();
        vault.deposit(more, RECEIVER);
        vm.stopPrank();
        _leaveWithEverything(RECEIVER);
    }

    function test_maxMint(Start memory start) public from(start) {
        uint256 most = vault.maxMint(RECEIVER);
        _assertOpen(start, most);
        _pay(vault.previewMint(most));
        vault.mint(most, RECEIVER);
        _assertAllAnswers();
        vm.stopPrank();
        _leaveWithEverything(RECEIVER);
    }

    function test_maxDeposit_noMore(Start memory start, uint256 more) public from(start) {
        more = bound(more, vault.maxDeposit(RECEIVER) + _beyond(), type(uint256).max / 2);
        _pay(more);
        vm.expectRevert();
        vault.deposit(more, RECEIVER);
    }

    function test_maxMint_noMore(Start memory start, uint256 more) public from(start) {
        more = bound(more, vault.maxMint(RECEIVER) + 1 + vault.convertToShares(1), type(uint256).max);
        _pay(type(uint256).max / 2);
        vm.expectRevert();
        vault.mint(more, RECEIVER);
    }

    function test_maxWithdraw(Start memory start) public from(start) {
        uint256 most = vault.maxWithdraw(OWNER);
        uint256 held = asset.balanceOf(OWNER);
        vm.prank(OWNER);
        vault.withdraw(most, OWNER, OWNER);
        assertEq(asset.balanceOf(OWNER), held + most);
        _assertAllAnswers();
    }

    function test_maxRedeem(Start memory start) public from(start) {
        uint256 most = vault.maxRedeem(OWNER);
        uint256 shares = vault.balanceOf(OWNER);
        vm.prank(OWNER);
        vault.redeem(most, OWNER, OWNER);
        assertEq(vault.balanceOf(OWNER), shares - most);
        _assertAllAnswers();
    }

    /// @dev Nobody's limit depends on what they have of the asset, and nobody may take what they have not put in.
    function test_max_ofStrangers(Start memory start, address stranger) public from(start) {
        vm.assume(vault.balanceOf(stranger) == 0);
        assertEq(vault.maxDeposit(stranger), vault.maxDeposit(OWNER));
        assertEq(vault.maxMint(stranger), vault.maxMint(OWNER));
        assertEq(vault.maxWithdraw(stranger), 0);
        assertEq(vault.maxRedeem(stranger), 0);
    }

    function _pay(uint256 assets) private {
        asset.mint(CALLER, assets);
        vm.startPrank(CALLER);
        asset.approve(address(vault), type(uint256).max);
    }

    /// @dev No view reverts, also in a vault that is full or empty.
    function _assertAllAnswers() private view {
        vault.totalAssets();
        vault.sharePrice();
        vault.drawdownFloor();
        vault.convertToShares(type(uint64).max);
        vault.convertToAssets(type(uint64).max);
        _previews(type(uint64).max);
        vault.maxDeposit(OWNER);
        vault.maxMint(OWNER);
        vault.maxWithdraw(OWNER);
        vault.maxRedeem(OWNER);
    }

    function _leaveWithEverything(address owner) private {
        if (INVESTED) illiquid.setLiquidity(type(uint256).max);
        uint256 shares = vault.maxRedeem(owner);
        assertEq(shares, vault.balanceOf(owner));
        vm.prank(owner);
        vault.redeem(shares, owner, owner);
    }

    /* ROUND TRIPS PAY NOBODY */

    function test_roundTrip_fromAssets(Start memory start, uint256 assets) public from(start) {
        assets = bound(assets, 0, _least(vault.maxDeposit(CALLER), asset.balanceOf(CALLER)));
        vm.startPrank(CALLER);
        asset.approve(address(vault), type(uint256).max);
        uint256 snapshot = vm.snapshotState();
        uint256 shares = vault.deposit(assets, CALLER);
        assertLe(vault.redeem(shares, CALLER, CALLER), assets, "deposit, then redeem");
        vm.revertToState(snapshot);
        shares = vault.deposit(assets, CALLER);
        if (vault.maxWithdraw(CALLER) < assets) return;
        assertGe(vault.withdraw(assets, CALLER, CALLER), shares, "deposit, then withdraw");
    }

    function test_roundTrip_fromShares(Start memory start, uint256 shares) public from(start) {
        shares = bound(shares, 0, _least(vault.maxMint(CALLER), vault.previewDeposit(asset.balanceOf(CALLER))));
        vm.startPrank(CALLER);
        asset.approve(address(vault), type(uint256).max);
        uint256 snapshot = vm.snapshotState();
        uint256 assets = vault.mint(shares, CALLER);
        assertLe(vault.redeem(shares, CALLER, CALLER), assets, "mint, then redeem");
        vm.revertToState(snapshot);
        assets = vault.mint(shares, CALLER);
        if (vault.maxWithdraw(CALLER) < assets) return;
        assertGe(vault.withdraw(assets, CALLER, CALLER), shares, "mint, then withdraw");
    }

    /// @dev Without strategies no share is gained. Leaving through strategies costs those who stay up to a share of each, for
    /// they round too, and the shares of whoever comes back are then cheaper by that; they are worth no more all the same.
    function test_roundTrip_redeemAndReturn(Start memory start, uint256 shares) public from(start) {
        if (HALTED) return;
        shares = bound(shares, 0, vault.maxRedeem(CALLER));
        uint256 wealth = _wealth(CALLER);
        vm.startPrank(CALLER);
        asset.approve(address(vault), type(uint256).max);
        uint256 assets = vault.redeem(shares, CALLER, CALLER);
        if (!INVESTED) assertGe(vault.previewMint(shares), assets, "redeem, then mint");
        if (vault.maxDeposit(CALLER) < assets) return;
        uint256 back = vault.deposit(assets, CALLER);
        if (!INVESTED) assertLe(back, shares, "redeem, then deposit");
        assertLe(_wealth(CALLER), wealth);
    }

    function test_roundTrip_withdrawAndReturn(Start memory start, uint256 assets) public from(start) {
        if (HALTED) return;
        assets = bound(assets, 0, vault.maxWithdraw(CALLER));
        uint256 wealth = _wealth(CALLER);
        vm.startPrank(CALLER);
        asset.approve(address(vault), type(uint256).max);
        uint256 shares = vault.withdraw(assets, CALLER, CALLER);
        if (!INVESTED) assertGe(vault.previewMint(shares), assets, "withdraw, then mint");
        if (vault.maxDeposit(CALLER) < assets) return;
        uint256 back = vault.deposit(assets, CALLER);
        if (!INVESTED) assertLe(back, shares, "withdraw, then deposit");
        assertLe(_wealth(CALLER), wealth);
    }

    function _wealth(address user) private view returns (uint256) {
        return asset.balanceOf(user) + vault.convertToAssets(vault.balanceOf(user));
    }

    /* WORDS */

    /// @dev Gives an allowance that suffices: exact, more, or without end.
    function _approve(IERC20 token, address owner, address spender, uint256 needed, uint256 allowance)
        private
        returns (uint256)
    {
        allowance = allowance % 3 == 0 ? type(uint256).max : bound(allowance, needed, type(uint256).max);
        vm.prank(owner);
        token.approve(spender, allowance);
        return allowance;
    }

    /// @dev An allowance without end stays; any other is used up by what was spent.
    function _assertSpent(IERC20 token, address owner, address spender, uint256 allowance, uint256 spent) private view {
        uint256 left = allowance == type(uint256).max ? allowance : allowance - spent;
        assertEq(token.allowance(owner, spender), left, "allowance");
    }

    function _least(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}

contract ConformanceTestLive is ConformanceTest(18, false, false) {}

contract ConformanceTestHalted is ConformanceTest(6, false, true) {}

contract ConformanceTestInvestedLive6 is ConformanceTest(6, true, false) {}

contract ConformanceTestInvestedLive18 is ConformanceTest(18, true, false) {}

contract ConformanceTestInvestedHalted is ConformanceTest(6, true, true) {}
