// SPDX-License-Identifier: GPL-2.0
//! The header's text.

use super::comment::{snake_case, text, wrapped};
use super::model::{CType, Definition, Field, Kind, Model};
use super::DEFINITION;
use std::fmt::Write;

/// The name of the ioctl type byte in the definition.
const MAGIC: &str = "RMMAP_IOC_MAGIC";

/// The whole header.
pub fn header(model: &Model) -> String {
    let mut out = format!("/* {} */\n/*\n", model.licence);
    for paragraph in model.docs.split(String::is_empty) {
        out.push_str(&wrapped("", "", &text(paragraph)));
        out.push_str(" *\n");
    }
    let origin = format!("Made of {DEFINITION} by `tools/lab/lab uapi-header`: change it there.");
    out.push_str(&wrapped("", "", &origin));
    out.push_str(" */\n#ifndef _UAPI_RMMAP_H\n#define _UAPI_RMMAP_H\n\n");
    out.push_str("#include <linux/ioctl.h>\n#include <linux/types.h>\n\n");
    // Structs first: the numbers of ioctls contain their sizes, and readers look for them there.
    let (structs, constants): (Vec<_>, Vec<_>) = model
        .items
        .iter()
        .partition(|item| matches!(item.kind, Kind::Struct(_)));
    let (ioctls, constants): (Vec<_>, Vec<_>) = constants
        .into_iter()
        .partition(|item| matches!(item.kind, Kind::Ioctl(..)));
    for item in constants.iter().chain(&structs).chain(&ioctls) {
        out.push_str(&definition(item));
        out.push('\n');
    }
    out.push_str("#endif /* _UAPI_RMMAP_H */\n");
    out
}

fn definition(item: &Definition) -> String {
    let name = &item.name;
    match &item.kind {
        Kind::Constant(value) => {
            format!("{}#define {name} {value}\n", comment(&item.docs))
        }
        Kind::Ioctl(builder, number, argument) => {
            let argument = snake_case(argument);
            let value = format!("{builder}({MAGIC}, {number}, struct {argument})");
            format!("{}#define {name} {value}\n", comment(&item.docs))
        }
        Kind::Struct(fields) => structure(&snake_case(name), &item.docs, fields),
    }
}

/// A comment before a macro: in one line where it fits.
fn comment(docs: &[String]) -> String {
    let text = text(docs);
    let one = format!("/* {text} */\n");
    if one.len() <= 100 {
        return one;
    }
    format!("/*\n{} */\n", wrapped("", "", &text))
}

fn structure(name: &str, docs: &[String], fields: &[Field]) -> String {
    let mut out = String::from("/**\n");
    out.push_str(&wrapped(&format!("struct {name} - "), "    ", &text(docs)));
    for field in fields {
        out.push_str(&wrapped(
            &format!("@{}: ", field.name),
            "    ",
            &text(&field.docs),
        ));
    }
    out.push_str(" */\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "struct {name} {{");
    for field in fields {
        let ty = match &field.ty {
            CType::Basic(name) => (*name).to_owned(),
            CType::Struct(name) => format!("struct {}", snake_case(name)),
        };
        let length = field.length.as_ref();
        let length = length.map_or(String::new(), |length| format!("[{length}]"));
        let _ = writeln!(out, "\t{ty} {}{length};", field.name);
    }
    out.push_str("};\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_definition_is_written() {
        let model = Model::parse(
            "// SPDX\n//! Top.\n/// A byte.\npub const RMMAP_IOC_MAGIC: u32 = 0xBE;\n\
             /// Reads [`XInfo`].\npub const GET: u32 = ioc::<XInfo>(IOC_READ, 1);\n\
             /// Both.\npub const ALL: u32 = A | 1 << 2;\nconst HIDDEN: u32 = 3;\n\
             /// An answer.\npub struct XInfo {\n/// Much.\npub x: [u64; N],\n/// More.\npub y: Y,\n}\n",
        )
        .unwrap();
        let text = header(&model);
        for line in [
            "#define RMMAP_IOC_MAGIC 0xBE",
            "#define GET _IOR(RMMAP_IOC_MAGIC, 1, struct x_info)",
            "#define ALL (A | (1 << 2))",
            " * struct x_info - An answer.",
            " * @x: Much.",
            "\t__u64 x[N];",
            "\tstruct y y;",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} in:\n{text}"
            );
        }
        assert!(!text.contains("HIDDEN"));
    }

    #[test]
    fn what_c_cannot_have_is_an_error() {
        for code in [
            "pub enum E { A }",
            "pub struct S(u32);",
            "pub struct S { x: usize }",
        ] {
            assert!(
                Model::parse(&format!("// SPDX\n{code}\n")).is_err(),
                "{code}"
            );
        }
    }
}
