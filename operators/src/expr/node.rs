//! The nodes of an expression tree. Operands have the types a node needs by the time it is made; nothing here converts.

use super::Expr;
use super::literal::Literal;
use super::pattern::{CompiledRegex, LikeFlags};
use super::temporal::TimeField;
use raympp_types::DataType;

/// How people are shown a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// By its name.
    Name(String),
    /// As the SQL whose value it holds, which binds as tightly as `level` says.
    Sql { text: String, level: u8 },
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Column {
        index: usize,
        label: Label,
    },
    Literal {
        value: Literal,
        untyped: bool,
    },
    Arithmetic {
        op: Arithmetic,
        left: Expr,
        right: Expr,
    },
    Negate(Expr),
    /// Both of one type, or both DECIMAL.
    Compare {
        op: Comparison,
        left: Expr,
        right: Expr,
    },
    /// IS \[NOT\] DISTINCT FROM
    Distinct {
        left: Expr,
        right: Expr,
        negated: bool,
    },
    And(Expr, Expr),
    Or(Expr, Expr),
    Not(Expr),
    IsNull {
        operand: Expr,
        negated: bool,
    },
    /// IS \[NOT\] TRUE and IS \[NOT\] FALSE
    IsTruth {
        operand: Expr,
        truth: bool,
        negated: bool,
    },
    InList {
        operand: Expr,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        operand: Expr,
        pattern: Expr,
        flags: LikeFlags,
    },
    Regex {
        operand: Expr,
        pattern: Expr,
        compiled: Option<CompiledRegex>,
        insensitive: bool,
        negated: bool,
    },
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Expr,
    },
    Coalesce(Vec<Expr>),
    NullIf(Expr, Expr),
    /// GREATEST and LEAST
    Extreme {
        greatest: bool,
        arguments: Vec<Expr>,
    },
    Cast {
        operand: Expr,
        try_cast: bool,
    },
    Call {
        function: Function,
        arguments: Vec<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Arithmetic {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Comparison::Eq => "=",
            Comparison::NotEq => "<>",
            Comparison::Lt => "<",
            Comparison::LtEq => "<=",
            Comparison::Gt => ">",
            Comparison::GtEq => ">=",
        }
    }
}

/// Functions without a node of their own. NULL if any argument is NULL, except [`Function::Concat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    /// `||`: VARCHAR or BYTEA
    ConcatOperator,
    /// CONCAT: NULLs are skipped
    Concat,
    Lower,
    Upper,
    TrimBoth,
    TrimStart,
    TrimEnd,
    Substring,
    Left,
    Right,
    Length,
    Replace,
    SplitPart,
    StartsWith,
    Md5,
    Hash,
    Abs,
    Sign,
    /// ROUND to a whole number, or to the digits of a second argument
    Round,
    Floor,
    Ceil,
    Power,
    SquareRoot,
    Ln,
    Log10,
    /// LOG(base, x)
    Log,
    Exp,
    DateTrunc(TimeField),
    Extract(TimeField),
    ToTimestamp,
}

impl Function {
    pub(super) fn name(self) -> &'static str {
        match self {
            Function::ConcatOperator => "||",
            Function::Concat => "concat",
            Function::Lower => "lower",
            Function::Upper => "upper",
            Function::TrimBoth => "trim",
            Function::TrimStart => "ltrim",
            Function::TrimEnd => "rtrim",
            Function::Substring => "substring",
            Function::Left => "left",
            Function::Right => "right",
            Function::Length => "length",
            Function::Replace => "replace",
            Function::SplitPart => "split_part",
            Function::StartsWith => "starts_with",
            Function::Md5 => "md5",
            Function::Hash => "hash",
            Function::Abs => "abs",
            Function::Sign => "sign",
            Function::Round => "round",
            Function::Floor => "floor",
            Function::Ceil => "ceil",
            Function::Power => "power",
            Function::SquareRoot => "sqrt",
            Function::Ln => "ln",
            Function::Log10 | Function::Log => "log",
            Function::Exp => "exp",
            Function::DateTrunc(_) => "date_trunc",
            Function::Extract(_) => "extract",
            Function::ToTimestamp => "to_timestamp",
        }
    }

    /// Whether it can fail by itself, for arguments of its types and this result type.
    fn can_fail(self, arguments: &[Expr], result: DataType) -> bool {
        match self {
            Function::Abs => result.is_integer(),
            Function::Round => matches!(result, DataType::Decimal { precision, .. } if precision >= 38),
            Function::Floor | Function::Ceil => matches!(result, DataType::Decimal { precision, .. } if precision >= 38),
            // A negative length.
            Function::Substring => arguments.len() == 3 && !arguments[2].as_literal().is_some_and(super::call::is_not_negative),
            // Field 0.
            Function::SplitPart => !arguments[2].as_literal().is_some_and(super::call::is_not_zero),
            Function::Power
            | Function::SquareRoot
            | Function::Ln
            | Function::Log10
            | Function::Log
            | Function::Exp
            | Function::DateTrunc(_)
            | Function::ToTimestamp => true,
            _ => false,
        }
    }
}

impl Node {
    /// Whether this node itself, with operands that succeed, can fail for some row.
    pub(super) fn can_fail(&self, result: DataType) -> bool {
        match self {
            Node::Arithmetic { op, left, right } => super::arithmetic::can_fail(*op, left.data_type(), right.data_type(), result),
            Node::Negate(operand) => operand.data_type().is_integer() || operand.data_type() == DataType::Interval,
            Node::Like { pattern, flags, .. } => pattern.as_literal().is_none() && flags.escape.is_some(),
            Node::Regex { compiled, .. } => compiled.is_none(),
            Node::Cast { operand, try_cast } => !try_cast && super::cast::can_fail(operand.data_type(), result),
            Node::Call { function, arguments } => function.can_fail(arguments, result),
            _ => false,
        }
    }

    pub(super) fn for_each_child<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            Node::Column { .. } | Node::Literal { .. } => {}
            Node::Arithmetic { left, right, .. } | Node::Compare { left, right, .. } | Node::Distinct { left, right, .. } => {
                f(left);
                f(right);
            }
            Node::And(left, right) | Node::Or(left, right) | Node::NullIf(left, right) => {
                f(left);
                f(right);
            }
            Node::Negate(operand) | Node::Not(operand) => f(operand),
            Node::IsNull { operand, .. } | Node::IsTruth { operand, .. } | Node::Cast { operand, .. } => f(operand),
            Node::InList { operand, list, .. } => {
                f(operand);
                list.iter().for_each(f);
            }
            Node::Like { operand, pattern, .. } | Node::Regex { operand, pattern, .. } => {
                f(operand);
                f(pattern);
            }
            Node::Case { whens, otherwise } => {
                for (condition, value) in whens {
                    f(condition);
                    f(value);
                }
                f(otherwise);
            }
            Node::Coalesce(arguments) | Node::Extreme { arguments, .. } | Node::Call { arguments, .. } => arguments.iter().for_each(f),
        }
    }

    pub(super) fn map_children(&self, f: &mut dyn FnMut(&Expr) -> Expr) -> Node {
        let mut copy = self.clone();
        copy.for_each_child_mut(&mut |child| *child = f(child));
        copy
    }

    fn for_each_child_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        match self {
            Node::Column { .. } | Node::Literal { .. } => {}
            Node::Arithmetic { left, right, .. } | Node::Compare { left, right, .. } | Node::Distinct { left, right, .. } => {
                f(left);
                f(right);
            }
            Node::And(left, right) | Node::Or(left, right) | Node::NullIf(left, right) => {
                f(left);
                f(right);
            }
            Node::Negate(operand) | Node::Not(operand) => f(operand),
            Node::IsNull { operand, .. } | Node::IsTruth { operand, .. } | Node::Cast { operand, .. } => f(operand),
            Node::InList { operand, list, .. } => {
                f(operand);
                list.iter_mut().for_each(f);
            }
            Node::Like { operand, pattern, .. } | Node::Regex { operand, pattern, .. } => {
                f(operand);
                f(pattern);
            }
            Node::Case { whens, otherwise } => {
                for (condition, value) in whens {
                    f(condition);
                    f(value);
                }
                f(otherwise);
            }
            Node::Coalesce(arguments) | Node::Extreme { arguments, .. } | Node::Call { arguments, .. } => arguments.iter_mut().for_each(f),
        }
    }
}
