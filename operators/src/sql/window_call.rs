//! Window functions of FROM: names and arguments to a [`Window`].

use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::interval::fixed_length_us;
use super::nearest::did_you_mean;
use super::syntax::WindowCall;
use crate::window::{WINDOW_SIZE_MAX_US, Window};
use sqlparser::ast;
use sqlparser::tokenizer::Span;

const FUNCTIONS: [(&str, &str); 4] = [
    ("tumble", "TUMBLE(stream, time column, size [, offset])"),
    ("hop", "HOP(stream, time column, slide, size [, offset])"),
    ("cumulate", "CUMULATE(stream, time column, step, size [, offset])"),
    ("session", "SESSION(stream, time column, gap)"),
];

pub(crate) fn window(call: &WindowCall) -> SqlResult<Window> {
    let name = call.function.value.as_str();
    let arguments = call.arguments.as_slice();
    let window = match (name, arguments) {
        ("tumble", [size, rest @ ..]) if rest.len() <= 1 => Window::Tumble { size_us: length(size, "the size")?, offset_us: offset(rest)? },
        ("hop", [slide, size, rest @ ..]) if rest.len() <= 1 => {
            let (slide_us, size_us) = divided(slide, size, "slide")?;
            Window::Hop { slide_us, size_us, offset_us: offset(rest)? }
        }
        ("cumulate", [step, size, rest @ ..]) if rest.len() <= 1 => {
            let (step_us, size_us) = divided(step, size, "step")?;
            Window::Cumulate { step_us, size_us, offset_us: offset(rest)? }
        }
        ("session", [gap]) => Window::Session { gap_us: length(gap, "the gap")? },
        _ => return Err(wrong_call(call)),
    };
    Ok(window)
}

type Argument = (ast::Expr, Span);

fn length((written, span): &Argument, what: &str) -> SqlResult<i64> {
    fixed_length_us(written, *span, what, 1)
}

/// Slide or step, and the size, which is a multiple of it.
fn divided(part: &Argument, size: &Argument, what: &str) -> SqlResult<(i64, i64)> {
    let part_us = length(part, &format!("the {what}"))?;
    let size_us = length(size, "the size")?;
    if size_us % part_us != 0 {
        let message = format!("the size must be a multiple of the {what}");
        let hint = if size_us < part_us {
            format!("the {what} comes first, the size last")
        } else {
            format!("choose a {what} that divides the size")
        };
        return Err(SqlError::new(SqlErrorKind::Window, size.1, message).hint(hint));
    }
    Ok((part_us, size_us))
}

/// The shift, which may be negative.
fn offset(rest: &[Argument]) -> SqlResult<i64> {
    rest.first().map_or(Ok(0), |(written, span)| fixed_length_us(written, *span, "the offset", -WINDOW_SIZE_MAX_US))
}

fn wrong_call(call: &WindowCall) -> SqlError {
    let (name, span) = (call.function.value.as_str(), call.function.span);
    match FUNCTIONS.iter().find(|(known, _)| *known == name) {
        Some((known, usage)) => {
            let message = format!("wrong number of arguments for {}", known.to_uppercase());
            SqlError::new(SqlErrorKind::Window, span, message).hint(format!("write {usage}"))
        }
        None => {
            let message = format!("there is no window function \"{name}\"");
            let nearest = did_you_mean(name, FUNCTIONS.iter().map(|(known, _)| *known));
            let hint = nearest.unwrap_or_else(|| "there are TUMBLE, HOP, CUMULATE and SESSION".to_owned());
            SqlError::new(SqlErrorKind::UndefinedFunction, span, message).hint(hint)
        }
    }
}
