"""What turns a router into a Lambda function: app factory, Mangum entry, dependencies, errors as
responses.
"""
