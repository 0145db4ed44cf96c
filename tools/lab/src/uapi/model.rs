// SPDX-License-Identifier: GPL-2.0
//! What the header is made of: constants, ioctls and structs, as the Rust definition has them.
//!
//! Only what the definition uses is understood. Anything else is an error and not left out, for a
//! header that lacks something compiles as well as one that does not.

use anyhow::{bail, Context, Result};
use syn::{Expr, Fields, GenericArgument, Item, Lit, PathArguments, Type, Visibility};

/// The whole definition.
pub struct Model {
    /// The first line without `//`: the licence.
    pub licence: String,
    /// Lines on the file as a whole.
    pub docs: Vec<String>,
    /// What it defines, in its order.
    pub items: Vec<Definition>,
}

/// One constant, ioctl or struct.
pub struct Definition {
    /// Its name in Rust.
    pub name: String,
    /// Lines on it.
    pub docs: Vec<String>,
    /// What it is.
    pub kind: Kind,
}

/// What can be defined.
pub enum Kind {
    /// A constant with its value in C.
    Constant(String),
    /// An ioctl: `_IOR`, `_IOW` or `_IOWR`, its number, the Rust name of its argument.
    Ioctl(&'static str, String, String),
    /// A struct.
    Struct(Vec<Field>),
}

/// A field of a struct.
pub struct Field {
    /// Its name.
    pub name: String,
    /// Lines on it.
    pub docs: Vec<String>,
    /// Its type.
    pub ty: CType,
    /// The length, of an array.
    pub length: Option<String>,
}

/// A type of a field.
pub enum CType {
    /// One of the kernel's, such as `__u32`.
    Basic(&'static str),
    /// A struct of this definition, by its Rust name.
    Struct(String),
}

impl Model {
    /// Reads a definition.
    pub fn parse(text: &str) -> Result<Self> {
        let first = text.lines().next().unwrap_or_default();
        let licence = first
            .strip_prefix("// ")
            .context("the first line does not name the licence")?;
        let file = syn::parse_file(text)?;
        let mut items = Vec::new();
        for item in &file.items {
            items.extend(definition(item)?);
        }
        Ok(Self {
            licence: licence.to_owned(),
            docs: docs(&file.attrs),
            items,
        })
    }
}

/// What `item` defines for userspace; nothing when it is not public.
fn definition(item: &Item) -> Result<Option<Definition>> {
    let (name, docs, kind) = match item {
        Item::Const(item) if is_public(&item.vis) => {
            let name = item.ident.to_string();
            let kind = constant(&item.expr).with_context(|| format!("constant {name}"))?;
            (name, docs(&item.attrs), kind)
        }
        Item::Struct(item) if is_public(&item.vis) => {
            let name = item.ident.to_string();
            let fields = fields(&item.fields).with_context(|| format!("struct {name}"))?;
            (name, docs(&item.attrs), Kind::Struct(fields))
        }
        Item::Use(_) | Item::Const(_) | Item::Fn(_) => return Ok(None),
        _ => bail!("there is something that is neither constant nor struct, which C does not get"),
    };
    Ok(Some(Definition { name, docs, kind }))
}

fn constant(expr: &Expr) -> Result<Kind> {
    if let Expr::Call(call) = expr {
        let Expr::Path(function) = &*call.func else {
            bail!("calls no function by name");
        };
        let last = function.path.segments.last().context("an empty path")?;
        let PathArguments::AngleBracketed(generics) = &last.arguments else {
            bail!("calls a function other than ioc::<T>()");
        };
        let Some(GenericArgument::Type(argument)) = generics.args.first() else {
            bail!("the ioctl has no argument type");
        };
        let (Some(direction), Some(number)) = (call.args.first(), call.args.last()) else {
            bail!("the ioctl lacks direction or number");
        };
        let builder = match value(direction)?.as_str() {
            "IOC_READ" => "_IOR",
            "IOC_WRITE" => "_IOW",
            "(IOC_READ | IOC_WRITE)" | "(IOC_WRITE | IOC_READ)" => "_IOWR",
            other => bail!("the direction {other} is unknown"),
        };
        return Ok(Kind::Ioctl(builder, value(number)?, name_of(argument)?));
    }
    Ok(Kind::Constant(value(expr)?))
}

/// An expression in C.
fn value(expr: &Expr) -> Result<String> {
    Ok(match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.token().to_string().replace('_', ""),
            Lit::Str(text) => format!("\"{}\"", text.value()),
            _ => bail!("a literal that is neither number nor text"),
        },
        Expr::Path(path) => path.path.require_ident()?.to_string(),
        Expr::Binary(binary) => {
            let operator = match binary.op {
                syn::BinOp::Shl(_) => "<<",
                syn::BinOp::BitOr(_) => "|",
                _ => bail!("an operator other than << and |"),
            };
            format!(
                "({} {operator} {})",
                value(&binary.left)?,
                value(&binary.right)?
            )
        }
        _ => bail!("an expression that C would not understand"),
    })
}

fn fields(fields: &Fields) -> Result<Vec<Field>> {
    let Fields::Named(named) = fields else {
        bail!("its fields have no names");
    };
    named
        .named
        .iter()
        .map(|field| {
            let (ty, length) = match &field.ty {
                Type::Array(array) => (&*array.elem, Some(value(&array.len)?)),
                ty => (ty, None),
            };
            let name = field.ident.as_ref().context("a field has no name")?;
            Ok(Field {
                name: name.to_string(),
                docs: docs(&field.attrs),
                ty: c_type(ty)?,
                length,
            })
        })
        .collect()
}

fn c_type(ty: &Type) -> Result<CType> {
    Ok(match name_of(ty)?.as_str() {
        "u8" => CType::Basic("__u8"),
        "u16" => CType::Basic("__u16"),
        "u32" => CType::Basic("__u32"),
        "u64" => CType::Basic("__u64"),
        "i32" => CType::Basic("__s32"),
        "i64" => CType::Basic("__s64"),
        name if name.starts_with(char::is_uppercase) => CType::Struct(name.to_owned()),
        name => bail!("the type {name} has no fixed size in C"),
    })
}

fn name_of(ty: &Type) -> Result<String> {
    let Type::Path(path) = ty else {
        bail!("a type without a name");
    };
    Ok(path.path.require_ident()?.to_string())
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The lines of all doc comments.
fn docs(attributes: &[syn::Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| {
        let pair = attribute.meta.require_name_value().ok()?;
        match &pair.value {
            Expr::Lit(literal) if pair.path.is_ident("doc") => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        }
    });
    lines.collect()
}
