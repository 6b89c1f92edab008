//! Writing the trait and the client.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::parse::{Method, Service};

pub(crate) fn service(service: &Service) -> TokenStream {
    let server = server(service);
    let client = client(service);
    quote! { #server #client }
}

fn server(service: &Service) -> TokenStream {
    let Service { prefix, attributes, visibility, name, supertraits, methods } = service;
    let signatures = methods.iter().map(signature);
    let procedures = methods.iter().map(|method| procedure(prefix, method));
    quote! {
        #(#attributes)*
        #visibility trait #name: #(#supertraits +)* ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#signatures)*

            /// Offers this service to peers.
            fn into_interface(self) -> ::ipfi::Interface
            where
                Self: ::core::marker::Sized,
            {
                let service = ::std::sync::Arc::new(self);
                ::ipfi::Interface::new() #(#procedures)*
            }
        }
    }
}

fn signature(method: &Method) -> TokenStream {
    let Method { attributes, name, context, arguments, output, .. } = method;
    let context = context.iter();
    let arguments = arguments.iter().map(|(name, ty)| quote!(#name: #ty));
    let output = if method.is_async {
        quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send)
    } else {
        quote!(#output)
    };
    quote! {
        #(#attributes)*
        fn #name(&self, #(context: #context,)* #(#arguments),*) -> #output;
    }
}

fn procedure(prefix: &str, method: &Method) -> TokenStream {
    let Method { doc, name, context, arguments, .. } = method;
    let full = format!("{prefix}{name}");
    let context_type = context.iter();
    let context_name = context.iter().map(|_| quote!(context,));
    let names: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
    let types = arguments.iter().map(|(_, ty)| ty);
    let call = quote!(Self::#name(&*service, #(#context_name)* #(#names),*));
    let body = if method.is_async {
        quote! {{
            let service = ::std::sync::Arc::clone(&service);
            async move { #call.await }
        }}
    } else {
        call
    };
    let add = if method.is_blocking { quote!(blocking) } else { quote!(procedure) };
    let doc = if doc.is_empty() { quote!() } else { quote!(.doc(#doc)) };
    quote! {
        .#add(#full, {
            let service = ::std::sync::Arc::clone(&service);
            move |#(context: #context_type,)* #(#names: #types),*| #body
        }) #doc
    }
}

fn client(service: &Service) -> TokenStream {
    let Service { prefix, visibility, name, methods, .. } = service;
    let client = format_ident!("{name}Client");
    let about = format!("Calls the service [`{name}`] of a peer.");
    let methods = methods.iter().map(|method| {
        let Method { attributes, name, arguments, value, .. } = method;
        let full = format!("{prefix}{name}");
        let names: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
        let types = arguments.iter().map(|(_, ty)| ty);
        quote! {
            #(#attributes)*
            pub fn #name(&self, #(#names: #types),*) -> ::ipfi::Call<'static, #value> {
                self.wire.call(#full, (#(#names,)*))
            }
        }
    });
    quote! {
        #[doc = #about]
        #[derive(Clone, Debug)]
        #visibility struct #client {
            wire: ::ipfi::Wire,
        }

        #[allow(dead_code)]
        impl #client {
            /// Calls over this wire.
            #[must_use]
            pub fn new(wire: ::ipfi::Wire) -> Self {
                Self { wire }
            }

            /// The wire.
            #[must_use]
            pub fn wire(&self) -> &::ipfi::Wire {
                &self.wire
            }

            #(#methods)*
        }
    }
}
