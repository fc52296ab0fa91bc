{
    "name": "POS WeChat Pay through posagent",
    "version": "18.0.0.1",
    "category": "Sales/Point of Sale",
    "summary": "Takes WeChat Pay Quick Pay with the posagent daemon of the till's own computer",
    "depends": ["point_of_sale"],
    "data": ["views/pos_payment_method_views.xml"],
    "assets": {"point_of_sale._assets_pos": ["pos_posagent/static/src/**/*"]},
    "license": "LGPL-3",
}
