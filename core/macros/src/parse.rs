//! Reading the trait, and saying what is wrong with it.

use proc_macro::TokenStream;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ItemTrait, Lit, LitStr, Meta, Pat,
    PathArguments, Result, ReturnType, TraitItem, TraitItemFn, Type, Visibility, parse::Parser,
    spanned::Spanned,
};

/// What stands in the parentheses of the attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) prefix: String,
}

pub(crate) fn options(arguments: TokenStream) -> Result<Options> {
    let mut options = Options::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("prefix") {
            options.prefix = meta.value()?.parse::<LitStr>()?.value();
            return Ok(());
        }
        Err(meta.error("the only option of a service is `prefix = \"...\"`"))
    });
    parser.parse(arguments)?;
    Ok(options)
}

/// A trait that can be served.
pub(crate) struct Service {
    pub(crate) prefix: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) supertraits: Vec<syn::TypeParamBound>,
    pub(crate) methods: Vec<Method>,
}

/// A procedure.
pub(crate) struct Method {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) doc: String,
    pub(crate) is_async: bool,
    pub(crate) is_blocking: bool,
    pub(crate) name: Ident,
    /// The type of the first argument, if it is a context.
    pub(crate) context: Option<Type>,
    pub(crate) arguments: Vec<(Ident, Type)>,
    /// What the method returns.
    pub(crate) output: Type,
    /// What the caller gets.
    pub(crate) value: Type,
}

impl Service {
    pub(crate) fn new(options: Options, item: ItemTrait) -> Result<Self> {
        if !item.generics.params.is_empty() {
            let text = "a service has no generic parameters: peers know only one of it";
            return Err(Error::new(item.generics.span(), text));
        }
        if let Some(token) = &item.unsafety {
            return Err(Error::new(token.span(), "a service cannot be unsafe"));
        }
        let mut methods = Vec::new();
        let mut errors: Option<Error> = None;
        for item in item.items {
            match method(item) {
                Ok(method) => methods.push(method),
                Err(error) => match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                },
            }
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        Ok(Self {
            prefix: options.prefix,
            attributes: item.attrs,
            visibility: item.vis,
            name: item.ident,
            supertraits: item.supertraits.into_iter().collect(),
            methods,
        })
    }
}

fn method(item: TraitItem) -> Result<Method> {
    let TraitItem::Fn(TraitItemFn { attrs, sig, default, .. }) = item else {
        return Err(Error::new(item.span(), "a service has nothing but methods"));
    };
    if let Some(body) = default {
        let text = "a method of a service has no body: the server that implements it has";
        return Err(Error::new(body.span(), text));
    }
    if !sig.generics.params.is_empty() {
        let text =
            "a method of a service has no generic parameters: the peer has to know its types";
        return Err(Error::new(sig.generics.span(), text));
    }
    let mut inputs = sig.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver))
            if receiver.reference.is_some()
                && receiver.mutability.is_none()
                && receiver.colon_token.is_none() => {}
        _ => {
            let text = "a method of a service takes `&self`: many callers share it";
            return Err(Error::new(sig.ident.span(), text));
        }
    }
    let mut arguments = Vec::new();
    for input in inputs {
        let FnArg::Typed(input) = input else { continue };
        let Pat::Ident(name) = &*input.pat else {
            let text = "an argument of a service is a name: `argument: Type`";
            return Err(Error::new(input.pat.span(), text));
        };
        if let Type::Reference(reference) = &*input.ty {
            let text = "arguments travel, so they are owned: `String` instead of `&str`";
            return Err(Error::new(reference.span(), text));
        }
        arguments.push((name.ident.clone(), (*input.ty).clone()));
    }
    let context = match arguments.first() {
        Some((_, ty)) if is_named(ty, "Context") => Some(arguments.remove(0).1),
        _ => None,
    };
    if arguments.len() > 8 {
        let text = "a method of a service has at most eight arguments: put some in a struct";
        return Err(Error::new(sig.inputs.span(), text));
    }
    let output = match sig.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => *ty,
    };
    let (blocking, attributes): (Vec<_>, Vec<_>) =
        attrs.into_iter().partition(|attribute| attribute.path().is_ident("blocking"));
    if let (Some(attribute), Some(_)) = (blocking.first(), &sig.asyncness) {
        return Err(Error::new(attribute.span(), "only a plain `fn` can be `#[blocking]`"));
    }
    Ok(Method {
        doc: doc(&attributes),
        attributes,
        is_async: sig.asyncness.is_some(),
        is_blocking: !blocking.is_empty(),
        name: sig.ident,
        context,
        arguments,
        value: value(&output),
        output,
    })
}

/// The text of doc comments.
fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| {
        if let Meta::NameValue(meta) = &attribute.meta
            && meta.path.is_ident("doc")
            && let Expr::Lit(literal) = &meta.value
            && let Lit::Str(text) = &literal.lit
        {
            return Some(text.value().trim().to_owned());
        }
        None
    };
    let lines = attributes.iter().filter_map(line);
    lines.collect::<Vec<_>>().join("\n")
}

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// `T` of `Result<T, Fault>`, and all others as they are.
fn value(output: &Type) -> Type {
    if let Type::Path(path) = output
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let [GenericArgument::Type(value), GenericArgument::Type(error)] =
            arguments.args.iter().collect::<Vec<_>>()[..]
        && is_named(error, "Fault")
    {
        return value.clone();
    }
    output.clone()
}
