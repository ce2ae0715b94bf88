// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";
import {BasketOracle} from "../../../contracts/oracles/BasketOracle.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {Token} from "../mocks/Token.sol";
import {IFullSetToken, SetBasket} from "../utils/SetBasket.sol";

/// @notice Over Set's own bytecode: an index of bitcoin (8 decimals), ether and staked ether (18), about 100 dollars a token.
contract BasketOracleTest is Test {
    uint256 private constant WAD = 1e18;
    uint256 private constant BTC_UNIT = 83_333;
    uint256 private constant ETH_UNIT = 0.015e18;
    uint256 private constant METH_UNIT = 0.0095e18;
    /// @dev In USDC, 6 decimals: base units per base unit, times 1e36.
    uint256 private constant BTC_PRICE = 60_000e34;
    uint256 private constant ETH_PRICE = 2000e24;
    uint256 private constant METH_PRICE = 2100e24;

    address[] private tokens;
    SettableOracle[3] private oracles;
    SetBasket private market;
    IFullSetToken private basket;
    BasketOracle private oracle;

    function setUp() public {
        int256[] memory units = new int256[](3);
        (units[0], units[1], units[2]) = (int256(BTC_UNIT), int256(ETH_UNIT), int256(METH_UNIT));
        for (uint256 i; i < 3; ++i) {
            tokens.push(address(new Token(i == 0 ? 8 : 18)));
            oracles[i] = new SettableOracle();
        }
        oracles[0].setPrice(BTC_PRICE);
        oracles[1].setPrice(ETH_PRICE);
        oracles[2].setPrice(METH_PRICE);
        market = new SetBasket(tokens, units);
        basket = market.basket();
        oracle = _new(3);
    }

    function _new(uint256 count) private returns (BasketOracle) {
        IOracle[] memory list = new IOracle[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = oracles[i];
        }
        return new BasketOracle(basket, list);
    }

    /// @dev As one would add it up by hand, in dollars times 1e24: a token has 18 decimals, and USDC 6.
    function _sum(uint256 btcUnit, uint256 ethUnit, uint256 methUnit) private pure returns (uint256) {
        return btcUnit * 60_000e16 + ethUnit * 2000e6 + methUnit * 2100e6;
    }

    function test_price() public view {
        assertEq(oracle.price(), _sum(BTC_UNIT, ETH_UNIT, METH_UNIT));
        assertApproxEqRel(oracle.price(), 100e24, 0.001e18);
    }

    function test_parts() public view {
        BasketOracle.Part[] memory parts = oracle.parts();
        assertEq(parts.length, 3);
        assertEq(parts[0].unit, BTC_UNIT);
        assertEq(parts[2].token, tokens[2]);
        assertEq(address(parts[2].oracle), address(oracles[2]));
        assertEq(address(oracle.BASKET()), address(basket));
    }

    /// @dev A token is worth what is paid out for it.
    function test_price_isOfWhatATokenIsRedeemedFor(uint256 amount) public {
        amount = bound(amount, 1e12, 1_000_000e18);
        _issue(amount);
        market.issuance().redeem(basket, amount, address(1));
        uint256 paid;
        for (uint256 i; i < 3; ++i) {
            paid += Token(tokens[i]).balanceOf(address(1)) * oracles[i].price() / 1e36;
        }
        uint256 dust = 60_000e6 / 1e8 + 3;
        assertApproxEqAbs(paid, amount * oracle.price() / 1e36, dust);
    }

    function test_price_followsTheParts(uint256 btc, uint256 eth) public {
        btc = bound(btc, 1, 1e42);
        eth = bound(eth, 1, 1e32);
        oracles[0].setPrice(btc);
        oracles[1].setPrice(eth);
        uint256 sum = BTC_UNIT * btc / WAD + ETH_UNIT * eth / WAD + METH_UNIT * METH_PRICE / WAD;
        assertEq(oracle.price(), sum);
    }

    /* NOTHING ELSE MOVES IT */

    function _issue(uint256 amount) private {
        for (uint256 i; i < 3; ++i) {
            Token(tokens[i]).mint(address(this), 1e30);
            Token(tokens[i]).approve(address(market.issuance()), 1e30);
        }
        market.issuance().issue(basket, amount, address(this));
    }

    /// @dev Whatever a stranger issues, redeems or gives.
    function test_strangers_moveNothing(uint256 amount, uint256 back, uint256 gift, uint256 which) public {
        uint256 before = oracle.price();
        amount = bound(amount, 1, 1e27);
        _issue(amount);
        assertEq(oracle.price(), before);
        market.issuance().redeem(basket, bound(back, 1, amount), address(this));
        assertEq(oracle.price(), before);
        Token(tokens[which % 3]).mint(address(basket), bound(gift, 1, 1e30));
        assertEq(oracle.price(), before);
    }

    /* WHAT THE MANAGER DOES */

    /// @dev A fee, which lowers every unit alike, and a loss of one part count at once.
    function test_unitsThatFall_count(uint256 left, uint256 lost) public {
        left = bound(left, 0.001e18, WAD);
        market.takeFee(left);
        uint256 price = oracle.price();
        assertApproxEqRel(price, _sum(BTC_UNIT, ETH_UNIT, METH_UNIT) * left / WAD, 0.02e18);
        assertLe(price, _sum(BTC_UNIT, ETH_UNIT, METH_UNIT) * left / WAD);
        market.takeFee(WAD);
        market.setUnit(tokens[1], bound(lost, 0, ETH_UNIT));
        assertEq(oracle.price(), _sum(BTC_UNIT, bound(lost, 0, ETH_UNIT), METH_UNIT));
    }

    /// @dev The manager, or who has its key, lifts no price.
    function test_unitsThatRise_areNoPrice(uint256 which, uint256 more) public {
        address part = tokens[which % 3];
        uint256 unit = uint256(basket.getDefaultPositionRealUnit(part));
        market.setUnit(part, unit + bound(more, 1, 1e30));
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, part));
        oracle.price();
        market.setUnit(part, unit);
        assertEq(oracle.price(), _sum(BTC_UNIT, ETH_UNIT, METH_UNIT));
    }

    function test_otherParts_areNoPrice() public {
        market.add(address(new Token(18)));
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, basket));
        oracle.price();
        market.remove(tokens[0]);
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, tokens[0]));
        oracle.price();
        market.remove(tokens[1]);
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, basket));
        oracle.price();
    }

    function test_partHeldElsewhere_isNoPrice() public {
        market.lendOut(tokens[1]);
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, tokens[1]));
        oracle.price();
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BasketChanged.selector, tokens[1]));
        _new(3);
    }

    function test_partWithoutAPrice_isNoPrice() public {
        oracles[2].setPrice(0);
        vm.expectRevert(SettableOracle.NoPrice.selector);
        oracle.price();
    }

    function test_constructor_wrongNumberOfOracles() public {
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BadParts.selector, 3, 2));
        _new(2);
        for (uint256 i; i < 3; ++i) {
            market.remove(tokens[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(BasketOracle.BadParts.selector, 0, 0));
        _new(0);
    }
}
