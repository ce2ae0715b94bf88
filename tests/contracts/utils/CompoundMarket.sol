// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ICToken} from "../../../contracts/interfaces/compound/ICToken.sol";
import {StandInVenusAccess} from "../../../contracts/standins/StandInVenusAccess.sol";
import {Token} from "../mocks/Token.sol";
import {Artifacts} from "./Artifacts.sol";

interface IFullCToken is ICToken {
    function borrow(uint256 amount) external returns (uint256);
    function repayBorrow(uint256 amount) external returns (uint256);
    function accrueInterest() external returns (uint256);
    function transfer(address to, uint256 units) external returns (bool);
    function borrowBalanceCurrent(address account) external returns (uint256);
    function exchangeRateCurrent() external returns (uint256);
    function _setReserveFactor(uint256 factor) external returns (uint256);
    function _setInterestRateModel(address model) external returns (uint256);
}

interface IFullComptroller {
    function _setPriceOracle(address oracle) external returns (uint256);
    function _setAccessControl(address manager) external returns (uint256);
    function _setComptrollerLens(address lens) external returns (uint256);
    function _supportMarket(ICToken market) external returns (uint256);
    function _setCollateralFactor(ICToken market, uint256 factor) external returns (uint256);
    function _setMarketSupplyCaps(ICToken[] calldata markets, uint256[] calldata caps) external;
    function _setActionsPaused(address[] calldata markets, uint8[] calldata actions, bool paused) external;
    function _setProtocolPaused(bool paused) external returns (bool);
    function _setTreasuryData(address guardian, address treasury, uint256 percent) external returns (uint256);
    function enterMarkets(address[] calldata markets) external returns (uint256[] memory);
}

/// @title A real Compound V2 market (Venus 2.2.1) with the reserve `asset` to lend, and one for collateral
/// @dev A year has the 10,512,000 blocks of Venus's rate model. Kink at 80 %, 5 % below it and 100 % above.
contract CompoundMarket {
    string private constant ROOT = "@venusprotocol/venus-protocol/artifacts/contracts/";
    uint256 public constant BLOCKS_PER_YEAR = 10_512_000;
    uint8 private constant MINT = 0;
    uint8 private constant REDEEM = 1;

    IFullComptroller public comptroller;
    IFullCToken public market;
    IFullCToken private _collateralMarket;
    Token public asset;
    Token private _collateral;
    StandInVenusAccess private _access;
    address private immutable MODEL;

    constructor(Token asset_) {
        asset = asset_;
        _collateral = new Token(18);
        _access = new StandInVenusAccess();
        comptroller = IFullComptroller(_deploy("Comptroller/Comptroller", ""));
        comptroller._setAccessControl(address(_access));
        comptroller._setPriceOracle(address(_access));
        comptroller._setComptrollerLens(_deploy("Lens/ComptrollerLens", ""));
        MODEL = _deploy("InterestRateModels/JumpRateModel", abi.encode(0, 0.0625e18, 5e18, 0.8e18));
        market = newMarket(asset, 2 * 10 ** (8 + asset.decimals()));
        _collateralMarket = newMarket(_collateral, 2e26);
        comptroller._setCollateralFactor(_collateralMarket, 0.9e18);
        market._setReserveFactor(0.1e18);
        address[] memory entered = new address[](1);
        entered[0] = address(_collateralMarket);
        comptroller.enterMarkets(entered);
    }

    /// @notice Lists a market of `token` without suppliers, and without a supply cap.
    function newMarket(Token token, uint256 initialRate) public returns (IFullCToken listed) {
        listed = IFullCToken(
            _deploy(
                "Tokens/VTokens/VBep20Immutable",
                abi.encode(token, comptroller, MODEL, initialRate, "vToken", "vTKN", 8, address(this))
            )
        );
        require(comptroller._supportMarket(listed) == 0, "not listed");
        _access.setPrice(address(listed), 1e18); // one price for every base unit
        _setCap(listed, type(uint256).max);
    }

    function _deploy(string memory path, bytes memory arguments) private returns (address) {
        return Artifacts.deploy(string.concat(ROOT, path, ".sol/", _name(path), ".json"), arguments);
    }

    /// @dev The last part of a path.
    function _name(string memory path) private pure returns (string memory) {
        bytes memory text = bytes(path);
        uint256 start = text.length;
        while (start > 0 && text[start - 1] != "/") --start;
        bytes memory name = new bytes(text.length - start);
        for (uint256 i; i < name.length; ++i) {
            name[i] = text[start + i];
        }
        return string(name);
    }

    /* OUTSIDERS */

    function supply(uint256 amount) external {
        _supply(market, asset, amount);
    }

    function borrow(uint256 amount) external {
        _supply(_collateralMarket, _collateral, 2 * amount + 1e18);
        require(market.borrow(amount) == 0, "not borrowed");
    }

    function repayAll() external {
        // The last borrower of a market owes, by rounding, more than all do together, and cannot repay that.
        uint256 debt = Math.min(market.borrowBalanceCurrent(address(this)), market.totalBorrows());
        asset.mint(address(this), debt);
        asset.approve(address(market), debt);
        require(market.repayBorrow(debt) == 0, "not repaid");
    }

    function _supply(IFullCToken to, Token token, uint256 amount) private {
        token.mint(address(this), amount);
        token.approve(address(to), amount);
        require(to.mint(amount) == 0, "not supplied");
    }

    /* GOVERNANCE */

    function setSupplyCap(uint256 cap) external {
        _setCap(market, cap);
    }

    function _setCap(IFullCToken capped, uint256 cap) private {
        ICToken[] memory markets = new ICToken[](1);
        uint256[] memory caps = new uint256[](1);
        (markets[0], caps[0]) = (capped, cap);
        comptroller._setMarketSupplyCaps(markets, caps);
    }

    function setMintPaused(bool paused) external {
        _setPaused(MINT, paused);
    }

    function setRedeemPaused(bool paused) external {
        _setPaused(REDEEM, paused);
    }

    function _setPaused(uint8 action, bool paused) private {
        address[] memory markets = new address[](1);
        uint8[] memory actions = new uint8[](1);
        (markets[0], actions[0]) = (address(market), action);
        comptroller._setActionsPaused(markets, actions, paused);
    }

    function setProtocolPaused(bool paused) external {
        comptroller._setProtocolPaused(paused);
    }

    function setRedeemFee(uint256 fee) external {
        require(comptroller._setTreasuryData(address(this), address(0xFEE), fee) == 0, "not set");
    }

    /// @notice A model by which the market refuses to go on, as its rate is absurd.
    function setAbsurdRates() external {
        address model = _deploy("InterestRateModels/JumpRateModel", abi.encode(1e30, 0, 0, 0.8e18));
        require(market._setInterestRateModel(model) == 0, "not set");
    }
}
