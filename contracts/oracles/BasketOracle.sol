// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IOracle} from "../interfaces/IOracle.sol";
import {ISetToken} from "../interfaces/set/ISetToken.sol";

/// @title The price of an index token of Set Protocol V2: what is in it, at the prices of its parts
/// @notice A token stands for set units of each part. Who issues or redeems tokens, or sends something to them, does not change
/// those; only the manager's modules do. A unit that falls (a fee, a loss) counts at once. There is no price where
/// - a part has none,
/// - the basket has other parts than at deployment, or more of one: the manager has traded,
/// - a part is held elsewhere, or owed: what that is worth is not known here.
/// The manager and its modules are trusted to keep what the units say. Every part's oracle has the same quote token. A strategy
/// gives its oracle 200,000 gas: enough for four parts with feeds.
contract BasketOracle is IOracle {
    /* TYPES AND STORAGE */

    struct Part {
        address token;
        /// @dev Base units of it per whole token, at deployment.
        uint96 unit;
        IOracle oracle;
    }

    /// @dev Base units of a whole token; all of Set's have 18 decimals.
    uint256 private constant WHOLE = 1e18;

    ISetToken public immutable BASKET;

    Part[] private _parts;

    /* ERRORS */

    error BadParts(uint256 parts, uint256 oracles);
    error BasketChanged(address part);

    /* CONSTRUCTOR */

    /// @param oracles Prices of the parts, in the basket's order.
    constructor(ISetToken basket, IOracle[] memory oracles) {
        BASKET = basket;
        address[] memory tokens = basket.getComponents();
        require(tokens.length == oracles.length && tokens.length != 0, BadParts(tokens.length, oracles.length));
        for (uint256 i; i < tokens.length; ++i) {
            _parts.push(Part(tokens[i], SafeCast.toUint96(_unitOf(tokens[i])), oracles[i]));
        }
    }

    /* VIEWS */

    /// @notice What the basket had at deployment, and what it is priced by.
    function parts() external view returns (Part[] memory) {
        return _parts;
    }

    /// @inheritdoc IOracle
    function price() external view returns (uint256 sum) {
        address[] memory tokens = BASKET.getComponents();
        require(tokens.length == _parts.length, BasketChanged(address(BASKET)));
        for (uint256 i; i < tokens.length; ++i) {
            Part memory part = _parts[i];
            uint256 unit = _unitOf(part.token);
            require(tokens[i] == part.token && unit <= part.unit, BasketChanged(part.token));
            sum += Math.mulDiv(unit, part.oracle.price(), WHOLE);
        }
    }

    /* INTERNAL */

    function _unitOf(address token) private view returns (uint256) {
        require(BASKET.getExternalPositionModules(token).length == 0, BasketChanged(token));
        return SafeCast.toUint256(BASKET.getDefaultPositionRealUnit(token));
    }
}
