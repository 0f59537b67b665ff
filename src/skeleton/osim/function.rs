//! The functions of OpenSim's library that models use for kinematics.

use crate::Result;
use crate::skeleton::Function;
use crate::skeleton::xml::{Source, child, elements, text};
use roxmltree::Node;

const UNDERSTOOD: &str = "kinefit understands Constant, LinearFunction, MultiplierFunction, PolynomialFunction, PiecewiseLinearFunction, SimmSpline, NaturalCubicSpline and natCubicSpline";

/// The function inside a property element (`<function>`, `<coupled_coordinates_function>`), `None` where it is empty.
pub(super) fn inside<'a, 'i>(source: Source<'a, 'i>, property: Node<'a, 'i>) -> Result<Option<Node<'a, 'i>>> {
    let mut found = elements(property);
    let first = found.next();
    match found.next() {
        Some(second) => Err(source.error(second, "a second function stands beside the first", "leave one")),
        None => Ok(first),
    }
}

/// Reads the function element `node`.
pub(super) fn read<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<Function> {
    let tag = node.tag_name().name();
    match tag {
        "Constant" => {
            let value = child(node, "value").map_or(Ok(0.0), |n| source.number(n, text(n)))?;
            Ok(Function::Constant(value))
        }
        "LinearFunction" => {
            let n = source.need(node, "coefficients")?;
            match source.numbers(n, text(n))?.as_slice() {
                [slope, intercept] => Ok(Function::Linear { slope: *slope, intercept: *intercept }),
                v => Err(source.error(
                    n,
                    format_args!("a line has two coefficients, slope and intercept; {} found", v.len()),
                    "correct the element",
                )),
            }
        }
        "PolynomialFunction" => {
            let n = source.need(node, "coefficients")?;
            let coefficients = source.numbers(n, text(n))?;
            if coefficients.is_empty() || coefficients.len() > 100 {
                return Err(source.error(
                    n,
                    format_args!("a polynomial has 1 to 100 coefficients; {} found", coefficients.len()),
                    "correct the element",
                ));
            }
            Ok(Function::Polynomial(coefficients))
        }
        "MultiplierFunction" => {
            let factor = child(node, "scale").map_or(Ok(1.0), |n| source.number(n, text(n)))?;
            match multiplied(source, node)? {
                Some(inner) => Ok(Function::Multiple { factor, inner: Box::new(read(source, inner)?) }),
                None => Err(source.error(node, "it multiplies no function", "put one into its <function>")),
            }
        }
        "PiecewiseLinearFunction" | "SimmSpline" | "NaturalCubicSpline" | "natCubicSpline" => {
            let (nx, ny) = (source.need(node, "x")?, source.need(node, "y")?);
            let (x, y) = (source.numbers(nx, text(nx))?, source.numbers(ny, text(ny))?);
            let described = format!("{} abscissae and {} ordinates", x.len(), y.len());
            let function = if tag == "PiecewiseLinearFunction" {
                Function::piecewise_linear(x, y)
            } else {
                Function::simm_spline(x, y)
            };
            function.ok_or_else(|| {
                source.error(
                    node,
                    format_args!("{described} do not make a curve: as many of one as of the other are needed, at least two, <x> increasing"),
                    "correct <x> and <y>",
                )
            })
        }
        other => Err(source.error(node, format_args!("the function {other} is not known"), UNDERSTOOD)),
    }
}

/// The function element a `MultiplierFunction` multiplies.
pub(super) fn multiplied<'a, 'i>(source: Source<'a, 'i>, node: Node<'a, 'i>) -> Result<Option<Node<'a, 'i>>> {
    match child(node, "function") {
        Some(property) => inside(source, property),
        None => Ok(elements(node).find(|n| n.tag_name().name() != "scale")),
    }
}
